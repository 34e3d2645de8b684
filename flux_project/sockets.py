"""uvicorn's WebSocket protocol, with a short way to and from a session.

uvicorn passes each message through a queue and a task; here, once a session has taken
over, a message goes straight to it, and frames that many listeners share are written as
the same bytes to each. Handshake and goodbye stay uvicorn's. Invariant: what a peer
sends is bounded, alone and together with all others, before it is a message.
"""

import asyncio
from typing import Any, Protocol

from uvicorn.protocols.websockets.websockets_sansio_impl import (
    WebSocketsSansIOProtocol,
)
from websockets.http11 import Request

from flux_project import bodies, peers
from flux_project.errors import FluxError
from namespaces import config

# Beside a batch: the rest of the message around it.
_AROUND_BATCH_BYTES = 64 << 10
PING = b"\x89\x00"
# A peer that was told goodbye has so long to answer.
GOODBYE_SECONDS = 2.0
# The close codes of RFC 6455 §7.4.1 by which websockets refuses what a peer sends.
_FAULTS = {1007: "invalid_utf8", 1009: "message_too_large"}


class Receiver(Protocol):
    """What takes over a socket after its handshake."""

    def received(self, text: bytes) -> None:
        """A message came."""

    def room_changed(self) -> None:
        """The socket is full, or takes more again, or has ended."""

    def is_ending(self, reason: str | None) -> None:
        """The connection is about to be ended here: for what the peer sent, or, None,
        because the server ends."""


class SocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket connection. `receiver`: who gets its messages, uvicorn if None."""

    receiver: Receiver | None = None
    is_full = False
    _is_parting = False
    _granted = 0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        limit = config.current().body_size_limit_batch_bytes + _AROUND_BATCH_BYTES
        self.conn.max_message_size = limit

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peers.narrow(transport)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.scope["flux.socket"] = self  # type: ignore[typeddict-unknown-key]  # ours

    def hand_over(self, receiver: Receiver) -> list[bytes]:
        """From now on messages go to the receiver; gives those that came before."""
        self.receiver = receiver
        found: list[bytes] = []
        while not self.queue.empty():
            message = self.queue.get_nowait()
            if message["type"] != "websocket.receive":
                self.queue.put_nowait(message)
                break
            text = message.get("bytes") or (message.get("text") or "").encode()
            found.append(text)
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        return found

    def say_goodbye(self, code: int, reason: str) -> None:
        """Closes the connection as RFC 6455 §7 has it, within GOODBYE_SECONDS."""
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.close_timer = self.loop.call_later(GOODBYE_SECONDS, self.transport.abort)

    def shutdown(self) -> None:
        if self.receiver is not None:
            self.receiver.is_ending(None)
        super().shutdown()

    def handle_parser_exception(self) -> None:
        if self.receiver is not None:
            sent = self.conn.close_sent
            code = 1002 if sent is None else sent.code
            self.receiver.is_ending(_FAULTS.get(code, "protocol_error"))
        self._part()

    def _part(self) -> None:
        """Ends the connection behind what websockets has to say, so that the peer can
        still read that: closing while its bytes are unread would reset the connection.
        """
        self._is_parting = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1006})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.write_eof()
        self.close_timer = self.loop.call_later(GOODBYE_SECONDS, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        if not self._is_parting:
            super().data_received(data)
            self._account()

    def _account(self) -> None:
        """What is held of an unfinished message counts like the bodies of requests."""
        held = len(self.conn.reader.buffer) + sum(map(len, self.frames))
        if held == self._granted:
            return
        bodies.budget.give(self._granted)
        self._granted = 0
        try:
            bodies.budget.take(held)
            self._granted = held
        except FluxError:
            self.conn.fail(1013, "overloaded")
            self._part()

    def connection_lost(self, exc: Exception | None) -> None:
        bodies.budget.give(self._granted)
        self._granted = 0
        super().connection_lost(exc)
        self._tell_drained()

    def send_receive_event_to_app(self) -> None:
        if self.receiver is None:
            super().send_receive_event_to_app()
            return
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if not self.close_sent:
            self.receiver.received(bytes(data))

    def pause_writing(self) -> None:
        super().pause_writing()
        self.is_full = True
        if self.receiver is not None:
            self.receiver.room_changed()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._tell_drained()

    def _tell_drained(self) -> None:
        self.is_full = False
        if self.receiver is not None:
            self.receiver.room_changed()
