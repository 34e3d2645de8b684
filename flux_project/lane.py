"""The hot paths, answered straight off the HTTP parser.

uvicorn takes the protocol class as a setting; this one collects the body of a publish,
a batch or a read of one entity itself, calls the endpoint function that the DRF views
call too, and writes the finished bytes. Measured on two shared cores: Django answers
about 800 requests/s, this about ten times as many. Everything unusual (an Origin, a
query, an upgrade, `Expect`, a repeated header, a request behind an unanswered one)
falls through to ASGI and Django, which serve the same paths. Invariant: whatever the
lane answers, Django would answer too.
"""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar
from urllib.parse import unquote_to_bytes

from django.conf import settings

from events import committer
from events import endpoints as event_endpoints
from flux_project import bodies, httpform
from flux_project.errors import FluxError, Invalid
from flux_project.gate import policy
from flux_project.lane_cycle import (
    Asked,
    BatchCycle,
    LaneCycle,
    PublishCycle,
    ReadCycle,
    Result,
)
from flux_project.reply import Read, Reply
from flux_project.wire import PatientProtocol
from namespaces import authentication, config
from namespaces.access import TokenRequired
from namespaces.grants import Grant
from namespaces.registry import registry
from state import endpoints as state_endpoints
from state.grouped import GroupedReads

ENTITY_PATH = b"/api/state/entities/"
# Parsing a body of this size takes about a millisecond; larger ones go to a thread, so
# that they do not hold up everybody else's requests.
THREAD_BYTES = 128 << 7
_MAX_KNOWN_HOSTS = 1_000
_FIRST_ERROR = 400
_BEARER = b"Bearer "
_NEEDS_TOKENS: bool = settings.FLUX_AUTH_ENABLED

# Headers whose requests need what only the full stack does.
_UNUSUAL = frozenset(
    {b"origin", b"expect", b"upgrade", b"access-control-request-method"}
)


class LaneProtocol(PatientProtocol):
    """uvicorn's HTTP protocol with the lane in front."""

    reads: ClassVar[dict[asyncio.AbstractEventLoop, GroupedReads]] = {}
    known_hosts: ClassVar[dict[bytes, bool]] = {}

    def on_headers_complete(self) -> None:
        cycle = self._enter()
        if cycle is None:
            super().on_headers_complete()
            return
        self.head_is_complete()
        self.answering = cycle
        self.cycle = cycle  # type: ignore[assignment]  # the same shape, see LaneCycle
        if cycle.refused is not None:
            # Its body is thrown away as it comes.
            self._finish(cycle, cycle.refuse(cycle.refused))

    def _enter(self) -> LaneCycle | None:
        """A cycle of the lane when the request is an ordinary one for a hot path."""
        is_free = self.cycle is None or self.cycle.response_complete
        if not is_free or self.flow.write_paused or self.parser.should_upgrade():
            return None
        if self.parser.get_http_version() != "1.1":
            return None
        headers = _plain(self.headers)
        if headers is None or not self._is_known_host(headers.get(b"host", b"")):
            return None
        method, url = self.parser.get_method(), self.url
        keep_alive = self.parser.should_keep_alive()
        if method == b"POST":
            cycle = _admitted((url, headers), keep_alive=keep_alive)
            if cycle is None or cycle.refused is not None:
                return cycle
            announced = int(headers.get(b"content-length", b"0"))
            # The full stack refuses what says that it is too large, before reading it.
            return None if announced > cycle.limit else cycle
        if method == b"GET" and url.startswith(ENTITY_PATH):
            return _reading((url, headers), keep_alive=keep_alive)
        return None

    def _is_known_host(self, host: bytes) -> bool:
        known = self.known_hosts.get(host)
        if known is None:
            try:
                policy().check_host(host.decode("latin-1"))
                known = True
            except Invalid:
                known = False
            if len(self.known_hosts) < _MAX_KNOWN_HOSTS:
                self.known_hosts[host] = known
        return known

    def on_body(self, body: bytes) -> None:
        cycle: Any = self.cycle
        if not isinstance(cycle, LaneCycle):
            super().on_body(body)
        elif not cycle.response_complete:
            size = cycle.granted + len(body)
            if size > cycle.limit:
                self._finish(cycle, cycle.refuse(bodies.too_large(cycle.limit)))
                return
            try:
                bodies.budget.take(len(body))
            except FluxError as error:
                self._finish(cycle, cycle.refuse(error))
                return
            cycle.granted = size
            cycle.chunks.append(body)

    def on_message_complete(self) -> None:
        cycle: Any = self.cycle
        if not isinstance(cycle, LaneCycle):
            super().on_message_complete()
            return
        self.message_is_complete()
        if not cycle.response_complete:
            cycle.more_body = False
            chunks = cycle.chunks
            body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            cycle.chunks = []
            if len(body) > THREAD_BYTES:
                self._serve_on_thread(cycle, body)
            else:
                self._serve(cycle, body)

    def connection_lost(self, exc: Exception | None) -> None:
        cycle: Any = self.cycle
        if isinstance(cycle, LaneCycle):
            self._give_back(cycle)
        super().connection_lost(exc)

    def _serve(self, cycle: LaneCycle, body: bytes) -> None:
        try:
            result = cycle.run(body)
        except Exception:  # noqa: BLE001  a bug must be answered, not lose the client
            result = cycle.refuse()
        self._settle(cycle, result)

    def _serve_on_thread(self, cycle: LaneCycle, body: bytes) -> None:
        def done(future: "asyncio.Future[Result]") -> None:
            try:
                result = future.result()
            except Exception:  # noqa: BLE001  a bug must be answered
                result = cycle.refuse()
            self._settle(cycle, result)

        self.loop.run_in_executor(None, cycle.run, body).add_done_callback(done)

    def _settle(self, cycle: LaneCycle, result: Result) -> None:
        """Writes a reply, or hands the work over and writes it when that is done."""
        try:
            if isinstance(result, Reply):
                self._finish(cycle, result)
            elif isinstance(result, Read):
                render = _Answer(self, cycle, result.render)
                self._reads().submit(result.entity_id, render)
            else:
                answer = _WriteAnswer(self, cycle, result.render)
                committer.submit(self.loop, result.commands, answer, size=result.size)
        except FluxError as error:
            self._finish(cycle, cycle.refuse(error))

    def _reads(self) -> GroupedReads:
        reads = self.reads.get(self.loop)
        if reads is None:
            reads = self.reads[self.loop] = GroupedReads(self.loop)
        return reads

    def _give_back(self, cycle: LaneCycle) -> None:
        bodies.budget.give(cycle.granted)
        cycle.granted = 0

    def _finish(self, cycle: LaneCycle, reply: Reply) -> None:
        if cycle.granted:
            self._give_back(cycle)
        if cycle.response_complete or cycle.disconnected:
            return
        cycle.response_complete = True
        cycle.answers[reply.status] += 1
        if reply.status >= _FIRST_ERROR:
            reply = cycle.identify(reply)
        self.transport.write(httpform.http(reply, keep_alive=cycle.keep_alive))
        if not cycle.keep_alive:
            if cycle.more_body:
                self.hang_up()
            else:
                self.transport.close()
        self.on_response_complete()
        if self.flow.write_paused:
            # Who does not read its answers is not read from either.
            self.flow.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.pipeline:
            self.flow.resume_reading()


class _Answer:
    """Finishes a request when its read was answered."""

    __slots__ = ("cycle", "protocol", "render")

    def __init__(
        self, protocol: LaneProtocol, cycle: LaneCycle, render: Callable[[Any], Reply]
    ) -> None:
        self.protocol = protocol
        self.cycle = cycle
        self.render = render

    def __call__(self, found: Any) -> None:
        try:
            reply = self.render(found)
        except Exception:  # noqa: BLE001  a bug must be answered
            reply = self.cycle.refuse()
        self.protocol._finish(self.cycle, reply)


class _WriteAnswer(_Answer):
    """The same for a write, whose failure as a whole is an error of its own."""

    __slots__ = ()

    def __call__(self, found: Any) -> None:
        if isinstance(found, FluxError):
            self.protocol._finish(self.cycle, self.cycle.refuse(found))
        else:
            super().__call__(found)


def _plain(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes] | None:
    """The headers of an ordinary request; None when one of them asks for more."""
    found = dict(headers)
    is_usual = len(found) == len(headers) and _UNUSUAL.isdisjoint(found)
    return found if is_usual else None


def _admitted(asked: Asked, *, keep_alive: bool) -> LaneCycle | None:
    """What publishes, and in auth mode with a token that this process knows.

    Who brings none is refused here. A token that is unknown here is the full stack's,
    which asks the database.
    """
    cycle = _publishing(asked, keep_alive=keep_alive)
    if cycle is None or not _NEEDS_TOKENS:
        return cycle
    authorization = asked[1].get(b"authorization")
    if authorization is None:
        cycle.refused = TokenRequired()
        return cycle
    cycle.grant = _grant(authorization)
    return cycle if cycle.grant else None


def _grant(authorization: bytes) -> Grant | None:
    """Of a token that this process knows."""
    if authorization[: len(_BEARER)] == _BEARER:  # as nearly everybody writes it
        return registry.known(authorization[len(_BEARER) :])
    return authentication.known(authorization.decode("latin-1"))


def _publishing(asked: Asked, *, keep_alive: bool) -> LaneCycle | None:
    url, _ = asked
    cycle: type[LaneCycle]
    if url == b"/api/events":
        cycle, serve = PublishCycle, event_endpoints.publish
        limit = config.current().body_size_limit_single_bytes
    elif url == b"/api/events/batch":
        cycle, serve = BatchCycle, event_endpoints.publish_batch
        limit = config.current().body_size_limit_batch_bytes
    else:
        return None
    return cycle(asked, serve, limit=limit, keep_alive=keep_alive)


def _reading(asked: Asked, *, keep_alive: bool) -> LaneCycle | None:
    url, headers = asked
    path = url[len(ENTITY_PATH) :]
    if not path or b"?" in path or b"#" in path:
        return None
    try:
        entity_id = (unquote_to_bytes(path) if b"%" in path else path).decode()
    except UnicodeDecodeError:
        return None
    if_none_match = headers.get(b"if-none-match")
    tag = None if if_none_match is None else if_none_match.decode("latin-1")

    def serve(_: bytes) -> Result:
        return state_endpoints.get_entity(entity_id, if_none_match=tag)

    return ReadCycle(asked, serve, limit=bodies.OTHER_BODY_BYTES, keep_alive=keep_alive)
