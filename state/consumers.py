"""`/api/ws`: the Channels consumer, and the wires it writes to (contract §5).

Under uvicorn frames go straight to the transport, as bytes that many listeners share;
under any other ASGI server the same session sends text by text. Invariant: what a
handshake asks for is checked before it is accepted, so a wrong one is an HTTP error.
"""

import asyncio
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer

from flux_project import metrics, peers
from flux_project.errors import FluxError, MethodNotAllowed
from flux_project.gate import (
    Receive,
    Scope,
    Send,
    address,
    authorization,
    refuse_socket,
    send_reply,
)
from flux_project.reply import refusal
from flux_project.sockets import PING, Receiver, SocketProtocol
from state import frames, messages, watch
from state.batch import Batch
from state.intake import Publisher
from state.session import Session
from state.wires import SHUTTING_DOWN, End, QueueWire, Wire, frames_sent

Message = MutableMapping[str, Any]
# RFC 6455 §7.4.2: 4000 to 4999 mean what an application likes.
PRIVATE_CODES = 3_000


class UpgradeRequired(FluxError):
    """This address speaks WebSocket; /api/stream has the same over plain HTTP."""

    status = 426
    code = "upgrade_required"


async def refuse_http(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a plain request to the socket's address."""
    if scope["method"] != "GET":
        error = MethodNotAllowed(f"{scope['method']} is not possible here; GET is.")
        await send_reply(send, refusal(error), [(b"allow", b"GET")])
        return
    upgrade = [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]
    await send_reply(send, refusal(UpgradeRequired()), upgrade)


class LiveConsumer(AsyncConsumer):  # type: ignore[misc]  # channels has no types
    """One socket."""

    _session: Session | None = None
    _sending: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, which is left however it ends."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()

    async def dispatch(self, message: Message) -> None:
        """Without Channels' look at Django's connections, of which none is used here:
        it goes to a thread and back for every message (measured: 150 us)."""
        handlers = {
            "websocket.connect": self.websocket_connect,
            "websocket.receive": self.websocket_receive,
            "websocket.disconnect": self.websocket_disconnect,
        }
        await handlers[message["type"]](message)

    async def websocket_connect(self, message: Message) -> None:
        query = self.scope.get("query_string", b"").decode()
        try:
            wanted = messages.query(dict(parse_qsl(query, keep_blank_values=True)))
            feed = await watch.admitted(wanted)
        except FluxError as error:
            await refuse_socket(self.scope, self.base_send, error)
            raise StopConsumer from None
        await self.send({"type": "websocket.accept"})
        socket = self.scope.get("flux.socket")
        protocol = socket and socket()
        wire = self._wire(protocol)
        self._session = Session(feed, wire, self._publisher())
        metrics.LISTENERS_WS.inc()
        self._session.listener.join(is_implicit=wanted is None)
        if isinstance(wire, SocketWire) and protocol is not None:
            wire.attach(self._session)
        if wanted is not None:
            self._session.listener.subscribe(
                wanted.interest, since=wanted.since, snapshot=wanted.snapshot
            )

    def _publisher(self) -> Publisher:
        return Publisher(authorization(self.scope), address(self.scope))

    def _wire(self, protocol: SocketProtocol | None) -> Wire:
        if protocol is not None:
            return SocketWire(protocol)
        wire = TextWire()
        self._sending = asyncio.create_task(wire.run(self.send))
        return wire

    async def websocket_receive(self, message: Message) -> None:
        if self._session is not None:
            text = message.get("bytes") or (message.get("text") or "").encode()
            self._session.receive(text)

    async def websocket_disconnect(self, message: Message) -> None:
        raise StopConsumer

    def _leave(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.leave()
            if isinstance(session.wire, SocketWire):
                session.wire.detach()
            metrics.LISTENERS_WS.dec()
            ended = session.wire.ended
            metrics.listener_ended(ended and ended.reason)
        if self._sending is not None:
            self._sending.cancel()


class SocketWire(Receiver):
    """uvicorn's socket, written to directly."""

    is_websocket = True
    __slots__ = ("_protocol", "_session", "_written", "ended")

    def __init__(self, protocol: SocketProtocol) -> None:
        self._protocol = protocol
        self._session: Session | None = None
        self._written = 0
        self.ended: End | None = None

    def attach(self, session: Session) -> None:
        """From now on messages come here; first those that uvicorn has queued."""
        self._session = session
        for text in self._protocol.hand_over(self):
            session.receive(text)

    def detach(self) -> None:
        """The session is over."""
        self._session = None

    def received(self, text: bytes) -> None:
        if self._session is not None:
            self._session.receive(text)

    def room_changed(self) -> None:
        if self._session is not None:
            self._session.room_changed()

    def finish(self) -> None:
        if self._session is not None:
            self._session.finish()
        else:
            self.end(SHUTTING_DOWN)

    def is_ending(self, reason: str | None) -> None:
        faulty = SHUTTING_DOWN if reason is None else End(reason, 1002)
        self.ended = self.ended or faulty

    @property
    def is_full(self) -> bool:
        return self._protocol.is_full

    def _write(self, data: bytes, count: int) -> None:
        transport = self._protocol.transport
        if self.ended is None and not transport.is_closing():
            frames_sent.count += count
            self._written += len(data)
            transport.write(data)

    def send(self, batch: Batch) -> None:
        self._write(batch.websocket, batch.count)

    def send_texts(self, texts: Sequence[bytes], *, seq: int | None = None) -> None:
        self._write(b"".join(map(frames.websocket, texts)), len(texts))

    def tell(self, text: bytes) -> None:
        if not self.is_full:
            self._write(frames.websocket(text), 1)

    def beat(self) -> None:
        self._write(PING, 0)

    async def drained(self) -> None:
        await self._protocol.writable.wait()

    def progress(self) -> int | None:
        transport = self._protocol.transport
        left = peers.waiting_bytes(transport)
        return self._written - left if left else None

    def hold_reading(self, *, is_held: bool) -> None:
        self._protocol.hold(is_held=is_held)

    def end(self, why: End) -> None:
        if self.ended is None:
            self.ended = why
            if why.is_abrupt:
                peers.reset(self._protocol.transport)
            else:
                self._protocol.say_goodbye(why.code, why.reason)


class TextWire(QueueWire):
    """A socket of any ASGI server: a task sends what is queued, text by text."""

    is_websocket = True

    def send(self, batch: Batch) -> None:
        self.put(batch.texts, frames=batch.count)

    def send_texts(self, texts: Sequence[bytes], *, seq: int | None = None) -> None:
        self.put(texts, frames=len(texts))

    def tell(self, text: bytes) -> None:
        if not self.is_full:
            self.put([text], frames=1)

    def beat(self) -> None:
        """The server sends its own pings."""

    async def run(self, send: Any) -> None:
        """Until the connection ends."""
        with suppress(OSError):  # so ASGI calls it when the peer was quicker
            while texts := await self.take():
                for text in texts:
                    await send({"type": "websocket.send", "text": text.decode()})
                    self.sent(text)
            if self.ended is not None:
                await _close(send, self.ended)


async def _close(send: Any, why: End) -> None:
    """Says goodbye with the code of the ending, or with one that the server takes:
    daphne raises an error for all but 1000 and those for private use."""
    message = {"type": "websocket.close", "reason": why.reason}
    try:
        await send({**message, "code": why.code})
    except OSError:
        raise
    except Exception:  # noqa: BLE001  each server has its own
        await send({**message, "code": why.code + PRIVATE_CODES})
