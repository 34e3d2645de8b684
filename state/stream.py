"""`GET /api/stream`: the live feed as Server-Sent Events (contract §5).

Invariant: what the address asks for is checked before the answer begins, so a wrong one
is an HTTP error; what follows is the same feed as on a socket.
"""

import asyncio
from collections.abc import Sequence
from urllib.parse import parse_qsl

from flux_project import metrics, peers
from flux_project.errors import FluxError, MethodNotAllowed, Unavailable
from flux_project.gate import Headers, Receive, Scope, Send, send_reply
from flux_project.reply import refusal
from flux_project.wire import PatientProtocol
from state import frames, messages, watch
from state.batch import Batch
from state.listener import Listener
from state.messages import Subscribe
from state.wires import SHUTTING_DOWN, End, QueueWire

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would keep frames back
]
_BEAT = b": beat\n\n"


async def serve(scope: Scope, receive: Receive, send: Send) -> None:
    """One stream, until the client goes or the server ends it."""
    try:
        wanted = _wanted(scope)
        feed = await watch.admitted(wanted)
    except FluxError as error:
        await send_reply(send, refusal(error), _beside(error))
        return
    connection = scope.get("flux.connection")
    wire = StreamWire(connection and connection())
    listener = Listener(feed, wire)
    leaving = asyncio.create_task(_end_with(receive, wire))
    try:
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        listener.join(is_implicit=wanted is None)
        metrics.LISTENERS_SSE.inc()
        if wanted is not None:
            listener.subscribe(
                wanted.interest, since=wanted.since, snapshot=wanted.snapshot
            )
        await _pass_on(wire, send)
    finally:
        leaving.cancel()
        listener.leave()
        wire.close()
        metrics.LISTENERS_SSE.dec()
        metrics.listener_ended(wire.ended and wire.ended.reason)


def _beside(error: FluxError) -> Headers:
    """The headers of a refusal."""
    if isinstance(error, MethodNotAllowed):
        return [(b"allow", b"GET")]
    if isinstance(error, Unavailable):
        # Kept alive, it would take the place of one that is served.
        return [(b"connection", b"close")]
    return []


def _wanted(scope: Scope) -> Subscribe | None:
    """What the query asks for; `Last-Event-ID` goes before its `since`, because a
    browser that connects anew sends its old address again."""
    if scope["method"] != "GET":
        message = f"{scope['method']} is not possible here; GET is."
        raise MethodNotAllowed(message)
    refused = scope.get("flux.body_error")
    if refused is not None:
        raise refused
    query = scope.get("query_string", b"").decode()
    given = dict(parse_qsl(query, keep_blank_values=True))
    last = dict(scope["headers"]).get(b"last-event-id", b"").decode("latin-1")
    if last:
        given["since"] = last
        given.pop("snapshot", None)
    return messages.query(given)


async def _end_with(receive: Receive, wire: "StreamWire") -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    wire.close()


async def _pass_on(wire: "StreamWire", send: Send) -> None:
    # A first comment, so that the client knows at once that it is connected.
    await send({"type": "http.response.body", "body": _BEAT, "more_body": True})
    while items := await wire.take():
        for item in items:
            await send({"type": "http.response.body", "body": item, "more_body": True})
            wire.sent(item)
    await send({"type": "http.response.body", "body": b""})


class StreamWire(QueueWire):
    """A response without end. connection: uvicorn's, None under another server."""

    is_websocket = False

    def __init__(self, connection: PatientProtocol | None) -> None:
        super().__init__()
        self._connection = connection
        if connection is not None:
            peers.narrow(connection.transport)
            connection.on_shutdown = self._shut_down

    def send(self, batch: Batch) -> None:
        self.put([batch.sse], frames=batch.count)

    def send_texts(self, texts: Sequence[bytes], *, seq: int | None = None) -> None:
        *first, last = texts
        joined = b"".join(map(frames.sse, first)) + frames.sse(last, seq=seq)
        self.put([joined], frames=len(texts))

    def tell(self, text: bytes) -> None:
        if not self.is_full:
            self.put([frames.sse(text)], frames=1)

    def beat(self) -> None:
        self.put([_BEAT], frames=0)

    def progress(self) -> int | None:
        left = self.held_bytes
        if self._connection is not None:
            left += peers.waiting_bytes(self._connection.transport)
        return self.put_bytes - left if left else None

    def end(self, why: End) -> None:
        super().end(why)
        if why.is_abrupt and self._connection is not None:
            peers.reset(self._connection.transport)

    def last_words(self, why: End) -> list[bytes]:
        text = f"The server ended this stream: {why.reason}."
        return [frames.sse(frames.message("error", error=text, code=why.reason))]

    def close(self) -> None:
        super().close()
        if self._connection is not None:
            self._connection.on_shutdown = None

    def _shut_down(self) -> None:
        connection = self._connection
        self.end(SHUTTING_DOWN)
        if connection is None:
            return
        if connection.flow.write_paused:
            peers.reset(connection.transport)  # it would not read the goodbye
        else:
            peers.part(connection.loop, connection.transport)
