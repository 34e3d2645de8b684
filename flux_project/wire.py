"""uvicorn's HTTP protocol, bounded: what a client may send before it is a request.

Invariant: a connection that has not delivered a request's head within HEAD_SECONDS, or
its body within BODY_SECONDS, is ended; a head larger than MAX_HEAD_BYTES is a 431. The
errors of the parser have the one shape too, and none of them is written where a client
expects the answer to an earlier request.
"""

import asyncio
import base64
import weakref
from collections.abc import Callable
from typing import Any

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import (
    HttpToolsProtocol,
    RequestResponseCycle,
)

from flux_project import httpform, request_ids
from flux_project.errors import FluxError, Invalid
from flux_project.reply import identified, refusal

MAX_HEAD_BYTES = 64 << 10
HEAD_SECONDS = 30
BODY_SECONDS = 120
LINGER_SECONDS = 2
# What stands around the name and the value of a header: a colon, a blank, CRLF.
_HEADER_FRAME_BYTES = 4


class HeadTooLarge(FluxError):
    """The address and the headers of a request may have 64 KiB together."""

    status = 431
    code = "headers_too_large"


class RequestTimeout(FluxError):
    """The request did not arrive in time."""

    status = 408
    code = "request_timeout"


class InvalidHttp(Invalid):
    """This is not valid HTTP."""

    code = "invalid_http"


class PatientProtocol(HttpToolsProtocol):
    """Parses like uvicorn, but not without end."""

    _head_bytes = 0  # of complete headers
    _raw_bytes = 0  # received since the packet in which the head began
    _is_fresh = True  # the head began in the packet being parsed
    _is_in_head = True
    _is_broken = False
    _is_receiving = True
    _fault: FluxError | None = None
    _deadline: asyncio.TimerHandle | None = None
    _answered_at = 0.0
    answering: Any = None  # the cycle of the request that is being answered
    # What ends an answer that would go on for ever, when the server is about to end.
    on_shutdown: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._expect_within(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._drop_deadline()
        super()._unset_keepalive_if_required()
        self._abandon()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        super().shutdown()
        if self.on_shutdown is not None:
            self.on_shutdown()

    def _abandon(self) -> None:
        """Tells the request being answered that nobody will read its answer.

        uvicorn tells only the newest one, which may be waiting behind it.
        """
        if self.answering is not None and not self.answering.response_complete:
            self.answering.disconnected = True
            self.answering.message_event.set()

    def data_received(self, data: bytes) -> None:
        if self._is_broken:
            return
        self._is_fresh = False
        super().data_received(data)
        if self.parser is None or self._is_broken or self.transport.is_closing():
            return
        if self._is_in_head and not self._is_fresh:
            # One long header is reported only when it is complete. The packet that a
            # head began in is not counted: other requests may fill most of it.
            self._raw_bytes += len(data)
            if self._raw_bytes > MAX_HEAD_BYTES:
                self._fault = HeadTooLarge()
                self.send_400_response("")
                return
        if self._is_receiving and self._deadline is None:
            self._expect_within(HEAD_SECONDS if self._is_in_head else BODY_SECONDS)

    def on_response_complete(self) -> None:
        """As uvicorn's, but for the keep-alive timer: one that looks, when it is over,
        whether the connection was idle all the while. To end one and begin another with
        each request took 1.3 us."""
        self._answered_at = self.loop.time()
        if self.pipeline:
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.timeout_keep_alive_task is None:
            self._arm_keep_alive(self.timeout_keep_alive)

    def _should_upgrade(self) -> bool:
        """Only what is a handshake becomes a socket. Anything else is answered like any
        request, behind the gate, so that the order of errors is the same (contract §0).
        """
        return super()._should_upgrade() and self._is_handshake()

    def _is_handshake(self) -> bool:
        given = dict(self.headers)
        try:
            key = base64.b64decode(given.get(b"sec-websocket-key", b""), validate=True)
        except ValueError:
            return False
        is_known = given.get(b"sec-websocket-version") == b"13"
        return self.parser.get_method() == b"GET" and is_known and len(key) == 16

    def _unsupported_upgrade_warning(self) -> None:
        """It is no fault of the server's."""

    def handle_websocket_upgrade(self) -> None:
        """The connection is another protocol's from here on, and so is its time."""
        self._is_broken = True
        self._drop_deadline()
        super()._unset_keepalive_if_required()
        super().handle_websocket_upgrade()
        self.parser = None  # type: ignore[assignment]  # it holds this, and is over

    def _arm_keep_alive(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler
        )

    def _unset_keepalive_if_required(self) -> None:
        """uvicorn calls this for every byte; the timer goes on by itself."""

    def timeout_keep_alive_handler(self) -> None:
        """Closes what was idle for long enough; else looks again when it may be."""
        self.timeout_keep_alive_task = None
        if self.transport.is_closing():
            return
        is_idle = not self._owes_answer() and not self._is_receiving
        left = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if is_idle and left <= 0:
            self.transport.close()
        else:
            self._arm_keep_alive(left if left > 0 else self.timeout_keep_alive)

    def _start_asgi_task(
        self, cycle: RequestResponseCycle, app: ASGI3Application
    ) -> None:
        self.answering = cycle
        super()._start_asgi_task(cycle, app)

    def on_message_begin(self) -> None:
        # uvicorn makes a request's scope here; the lane does without one.
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._head_bytes = self._raw_bytes = 0
        self._is_in_head = self._is_receiving = self._is_fresh = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value) + _HEADER_FRAME_BYTES
        if self._head_bytes > MAX_HEAD_BYTES:
            self._check_head()
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.head_is_complete()
        self._make_scope()
        super().on_headers_complete()

    def _make_scope(self) -> None:
        """What uvicorn made of the request's beginning, now that it is needed."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.scope["flux.connection"] = weakref.ref(self)  # type: ignore[typeddict-unknown-key]  # ours
        self.headers += headers  # the list that the scope holds

    def head_is_complete(self) -> None:
        """The head came in time; what follows is the body's time."""
        self._check_head()
        self._is_in_head = False
        self._drop_deadline()

    def _check_head(self) -> None:
        if len(self.url) + self._head_bytes > MAX_HEAD_BYTES:
            self._fault = HeadTooLarge()
            raise ValueError  # the parser turns it into its error, answered below

    def on_message_complete(self) -> None:
        self.message_is_complete()
        super().on_message_complete()

    def message_is_complete(self) -> None:
        """The request came in time; what follows is the server's time."""
        self._is_receiving = False
        self._drop_deadline()

    def send_400_response(self, msg: str) -> None:
        """Answers what is no valid request, in the shape of every error, and hangs up.

        The answer to a request before it, complete but still being worked on, goes
        first and is the last: an error in its place would say that it was refused.
        """
        if self._is_broken or self.transport.is_closing():
            return
        self._is_broken = True
        self._drop_deadline()
        in_body = self._is_receiving and not self._is_in_head and self.cycle is not None
        if in_body and (self.pipeline or not self._is_unanswered()):
            self.transport.close()
        elif not in_body and self._owes_answer():
            self.cycle.keep_alive = False
        else:
            self._write_fault()

    def _owes_answer(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _is_unanswered(self) -> bool:
        """Whether not a byte of an answer to the newest request was written."""
        is_begun = getattr(self.cycle, "response_started", False)
        return not (is_begun or self.cycle.response_complete)

    def _write_fault(self) -> None:
        reply = identified(refusal(self._fault or InvalidHttp()), request_ids.choose())
        self.transport.write(httpform.http(reply, keep_alive=False))
        self.hang_up()

    def hang_up(self) -> None:
        """Ends the connection so that the client can still read its answer.

        Closing at once while bytes of the client are unread resets the connection, and
        a reset throws away what the client has not read yet.
        """
        self._is_broken = True
        self._abandon()
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _expect_within(self, seconds: float) -> None:
        self._deadline = self.loop.call_later(seconds, self._too_late)

    def _drop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if self._is_in_head and self._head_bytes == 0 and not self._raw_bytes:
            self.transport.close()
        else:
            self._fault = RequestTimeout()
            self.send_400_response("")
