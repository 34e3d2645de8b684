"""uvicorn's WebSocket protocol, with a short way to and from a session.

uvicorn passes each message through a queue and a task; here, once a session has taken
over, a message goes straight to it, and frames that many listeners share are written as
the same bytes to each. Handshake and goodbye stay uvicorn's. Invariant: what a peer
sends is bounded, alone and together with all others, before it is a message.
"""

import asyncio
import weakref
from typing import Any, Protocol

from uvicorn.protocols.websockets.websockets_sansio_impl import (
    WebSocketsSansIOProtocol,
)
from websockets.frames import Frame
from websockets.http11 import Request

from flux_project import bodies, httpform, peers, request_ids
from flux_project.errors import FluxError
from flux_project.gather import ShuttingDown
from flux_project.reply import identified, refusal
from flux_project.wire import HeadTooLarge, InvalidHttp
from namespaces import config

# Beside a batch: the rest of the message around it.
_AROUND_BATCH_BYTES = 64 << 10
PING = b"\x89\x00"
# A peer that was told goodbye has so long to answer.
GOODBYE_SECONDS = 2.0
# When the server ends, what was published has so long to be stored and answered.
FINISH_SECONDS = 1.0
# A connection whose handshake is not over by then is ended. The feed takes 5 s at most.
HANDSHAKE_SECONDS = 10.0
# Empty ones have no size that would bound them.
MOST_FRAGMENTS = 10_000
# libuv offers up to 8 MiB at once. So much is read at a time, and for so long, before
# the loop does something else.
SLICE_BYTES = 4 << 10
READ_SECONDS = 0.002
# The close codes of RFC 6455 §7.4.1 by which websockets refuses what a peer sends.
OVERLOADED = "overloaded"
_FAULTS = {1007: "invalid_utf8", 1009: "message_too_large", 1013: OVERLOADED}
_HANDSHAKE_HEAD = "A handshake may have 128 headers, of 8 KiB at most each."
_NO_HANDSHAKE = "This is no handshake of WebSocket's version 13 (RFC 6455)."


class Receiver(Protocol):
    """What takes over a socket after its handshake."""

    def received(self, text: bytes) -> None:
        """A message came."""

    def room_changed(self) -> None:
        """The socket is full, or takes more again, or has ended."""

    def finish(self) -> None:
        """The server ends: say goodbye as soon as what came is answered."""

    def is_ending(self, reason: str | None) -> None:
        """The connection is about to be ended here: for what the peer sent, or, None,
        because the server ends."""


class SocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket connection. `receiver`: who gets its messages, uvicorn if None."""

    receiver: Receiver | None = None
    is_full = False
    _is_parting = False
    _is_last = False
    _is_served = False
    _is_held = False
    _goes_on = False
    _unread = b""
    _granted = 0
    _deadline: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        limit = config.current().body_size_limit_batch_bytes + _AROUND_BATCH_BYTES
        self.conn.max_message_size = limit

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peers.narrow(transport)
        self._deadline = self.loop.call_later(HANDSHAKE_SECONDS, self._too_late)

    def _too_late(self) -> None:
        peers.reset(self.transport)

    def handle_connect(self, event: Request) -> None:
        if self.conn.accept(event).status_code != 101:
            # websockets would answer in plain text.
            given = event.headers.get("X-Request-Id", "").encode("latin-1")
            self._refuse_handshake(InvalidHttp(_NO_HANDSHAKE), given)
            return
        super().handle_connect(event)
        if self.response.status_code == 101:
            self._is_served = True
            self.scope["flux.socket"] = weakref.ref(self)  # type: ignore[typeddict-unknown-key]  # ours

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        self._is_served = False
        self._let_go()

    def hand_over(self, receiver: Receiver) -> list[bytes]:
        """From now on messages go to the receiver; gives those that came before."""
        self.receiver = receiver
        self._drop_deadline()
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
            self._go_on_soon()
        return found

    def say_goodbye(self, code: int, reason: str) -> None:
        """Closes the connection as RFC 6455 §7 has it, within GOODBYE_SECONDS."""
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.close_timer = self.loop.call_later(GOODBYE_SECONDS, self.transport.abort)
        if self._is_last:
            self.queue.put_nowait({"type": "websocket.disconnect", "code": code})
            peers.part(self.loop, self.transport)
        self._go_on_soon()

    def shutdown(self) -> None:
        """The server ends: says goodbye, once what the peer published is answered."""
        self._is_last = True
        if self.receiver is None or self.is_full or self.close_sent:
            self._say_last()
        else:
            self.loop.call_later(FINISH_SECONDS, self._say_last)
            self.receiver.finish()

    def _say_last(self) -> None:
        if self.transport.is_closing():
            return
        if self.receiver is not None:
            self.receiver.is_ending(None)
        if self.is_full:
            peers.reset(self.transport)  # it would not read the goodbye
            return
        if self.handshake_complete:
            self.say_goodbye(1012, ShuttingDown.code)
        peers.part(self.loop, self.transport)

    def handle_parser_exception(self) -> None:
        sent = self.conn.close_sent
        self._part(1002 if sent is None else sent.code)

    def _fail(self, code: int, reason: str) -> None:
        self.conn.fail(code, reason)
        self._part(code)

    def _part(self, code: int) -> None:
        """Ends the connection behind what websockets has to say, so that the peer can
        still read that: closing while its bytes are unread would reset the connection.
        """
        if self.receiver is not None:
            self.receiver.is_ending(_FAULTS.get(code, "protocol_error"))
        self._is_parting = True
        self.frames = []
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1006})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.write_eof()
        self.close_timer = self.loop.call_later(GOODBYE_SECONDS, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if not self._goes_on:
            self._read_on()

    def hold(self, *, is_held: bool) -> None:
        """Reads no more, or goes on."""
        self._is_held = is_held
        if self.transport.is_closing():
            return
        if self._may_read:
            self._go_on_soon()
        else:
            self.transport.pause_reading()

    def _go_on_soon(self) -> None:
        if not self._goes_on:
            self._goes_on = True
            self.loop.call_soon(self._read_on)

    @property
    def _may_read(self) -> bool:
        # Behind a goodbye the peer's own is waited for, and what it sent before that is
        # thrown away: closing while bytes are unread would reset the connection.
        is_held = self.is_full if self.close_sent else self._is_held
        return not (is_held or self.read_paused or self._is_parting)

    def _read_on(self) -> None:
        """Reads what has come, slice by slice, for a while."""
        self._goes_on = False
        data, at = self._unread, 0
        until = self.loop.time() + READ_SECONDS
        while at < len(data) and self._may_read and self.loop.time() < until:
            self._read(data[at : at + SLICE_BYTES])
            at += SLICE_BYTES
        self._unread = b"" if self._is_parting else data[at:]
        if self.transport.is_closing():
            return
        if self._is_parting:
            self.transport.resume_reading()  # what still comes is thrown away
        elif self._unread:
            self.transport.pause_reading()
            if self._may_read:
                self._go_on_soon()
        elif self._may_read:
            self.transport.resume_reading()

    def _read(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_parting:
            return
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # What websockets does not read, uvicorn would not answer.
            self._refuse_handshake(HeadTooLarge(_HANDSHAKE_HEAD))
            return
        self._account()

    def _refuse_handshake(self, error: FluxError, given: bytes | None = None) -> None:
        """Answers what never became a handshake. given: the id in its headers."""
        reply = identified(refusal(error), request_ids.choose(given))
        self.transport.write(httpform.http(reply, keep_alive=False))
        self.handshake_complete = self.close_sent = self._is_parting = True
        self.transport.write_eof()
        self.loop.call_later(GOODBYE_SECONDS, self.transport.abort)

    def handle_cont(self, event: Frame) -> None:
        super().handle_cont(event)
        if len(self.frames) > MOST_FRAGMENTS and not self._is_parting:
            self._fail(1009, "too many fragments")

    def handle_close(self, event: Frame) -> None:
        """A peer that says goodbye, and takes nothing more, is not waited for."""
        super().handle_close(event)
        if self.close_timer is None:
            self.close_timer = self.loop.call_later(
                GOODBYE_SECONDS, peers.reset, self.transport
            )

    def _account(self) -> None:
        """What is held of an unfinished message counts like the bodies of requests."""
        held = len(self.conn.reader.buffer) + (self.conn.current_size or 0)
        if held == self._granted:
            return
        bodies.budget.give(self._granted)
        self._granted = 0
        try:
            bodies.budget.take(held)
            self._granted = held
        except FluxError:
            self._fail(1013, OVERLOADED)

    def connection_lost(self, exc: Exception | None) -> None:
        bodies.budget.give(self._granted)
        self._granted = 0
        self._drop_deadline()
        super().connection_lost(exc)
        self._tell_drained()
        self._let_go()

    def _drop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _let_go(self) -> None:
        """Cuts the circles in what a connection is made of, once it is over, so that it
        is freed at once. The garbage collector comes to what has lived for a while only
        when millions of objects were made since: 10 MiB a thousand connections."""
        if self.disconnected and not self._is_served:
            self.receiver = None
            self.conn.parser.close()

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
        else:
            self.hold(is_held=True)  # pings would fill it further

    def resume_writing(self) -> None:
        super().resume_writing()
        self._tell_drained()

    def _tell_drained(self) -> None:
        self.is_full = False
        if self.receiver is not None:
            self.receiver.room_changed()
        elif self._is_held:
            self.hold(is_held=False)
        if self.close_sent and not self.disconnected:
            self._go_on_soon()
