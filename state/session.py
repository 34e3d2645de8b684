"""A client on its socket: what it says is done, what it publishes is acknowledged.

What it publishes while a commit of it is under way goes into its next commit, so its
events are stored in the order in which it sent them. Invariant: every message gets its
answer once, and what waits here is bounded: a client that sends faster than it is
served is not read from meanwhile.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from events import committer, endpoints
from events.commands import Outcome
from flux_project.errors import FluxError
from flux_project.gather import Overloaded
from state import frames, intake
from state.feed import Feed
from state.intake import Publisher, Read, Unsure, Waiting
from state.interest import Interest
from state.listener import Listener
from state.messages import Refused, Subscribe, Unsubscribe
from state.wires import FAILED, OVERLOADED, SHUTTING_DOWN, TOO_MANY_MESSAGES, Wire

# What may wait here before the socket is not read from.
WAITING_BYTES = 4 << 20
MOST_COMMANDS = 2_000
# What a message takes beside its text, however short that is.
MESSAGE_BYTES = 1_000
# Subscriptions, faulty messages and those of which nothing can be stored; what is
# published is bounded by its commits.
MESSAGES_PER_SECOND = 200
MESSAGES_AT_ONCE = 2_000

logger = structlog.get_logger(__name__)


class Session:
    """One socket's, from its handshake to its end."""

    __slots__ = (
        "_allowance",
        "_counted_at",
        "_is_committing",
        "_is_finishing",
        "_is_held",
        "_loop",
        "_publisher",
        "_unread",
        "_waiting",
        "_waiting_bytes",
        "listener",
        "wire",
    )

    def __init__(self, feed: Feed, wire: Wire, publisher: Publisher) -> None:
        self.wire = wire
        self._publisher = publisher
        self.listener = Listener(feed, wire)
        self._loop = feed.loop
        self._waiting: list[Waiting] = []
        self._waiting_bytes = 0
        self._is_committing = False
        self._is_finishing = False
        self._unread: deque[bytes] | None = None
        self._is_held = False
        self._allowance = float(MESSAGES_AT_ONCE)
        self._counted_at = self._loop.time()

    def receive(self, text: bytes) -> None:
        """Takes one message of the client."""
        if intake.hold(text):
            self._route(text)
        else:
            self.wire.end(OVERLOADED)

    def _route(self, text: bytes) -> None:
        if self._unread is not None:
            self._unread.append(text)
        elif intake.is_long(text):
            self._read_on_thread(text)
        else:
            self._try(lambda: self._read(text))

    def _read(self, text: bytes) -> None:
        try:
            read = intake.read(text, self._publisher)
        except Unsure:
            self._read_on_thread(text)
        else:
            self._take(read)

    def _try(self, work: Callable[[], None]) -> None:
        """A bug ends this connection, by name, and nothing else."""
        try:
            work()
        except Exception:
            logger.exception("message_failed")
            self.wire.end(FAILED)

    def room_changed(self) -> None:
        """The wire is full, or takes more again: who does not read is not read from."""
        self._hold()

    def finish(self) -> None:
        """The server ends: nothing more is taken, what has come is answered first."""
        self._is_finishing = True
        self._hold()
        self._end_when_answered()

    def _end_when_answered(self) -> None:
        is_busy = self._is_committing or self._waiting or self._unread is not None
        if self._is_finishing and not is_busy:
            self.wire.end(SHUTTING_DOWN)

    def leave(self) -> None:
        """The connection is over; what is under way is committed all the same."""
        self.listener.leave()

    def _read_on_thread(self, text: bytes) -> None:
        self._unread = deque([text])
        self._hold()
        reading = self._loop.create_task(intake.read_on_thread(text, self._publisher))
        reading.add_done_callback(self._was_read)

    def _was_read(self, reading: "asyncio.Task[Read]") -> None:
        """Takes what was read on a thread, and what came behind it meanwhile."""
        if reading.cancelled():
            return  # with its loop
        unread, self._unread = self._unread or deque(), None
        text = unread.popleft()
        self._try(lambda: self._take_read(text, reading))
        while unread and self._unread is None:
            self._route(unread.popleft())
        if unread and self._unread is not None:
            self._unread.extend(unread)
        self._hold()
        self._end_when_answered()

    def _take_read(self, text: bytes, reading: "asyncio.Task[Read]") -> None:
        try:
            read = reading.result()
        except Overloaded:
            intake.give_back(len(text))
            self.wire.end(OVERLOADED)
            return
        except Exception:
            intake.give_back(len(text))
            raise
        if not isinstance(read, Waiting):
            intake.give_back(len(text))
        self._take(read)

    def _take(self, read: Read) -> None:
        """What publishes is bounded by its commits, anything else by an allowance."""
        if isinstance(read, Waiting) and read.commands:
            self._publish(read)
        elif self._is_allowed():
            self._do(read)
        else:
            if isinstance(read, Waiting):
                intake.give_back(read.size)
            self.wire.end(TOO_MANY_MESSAGES)

    def _do(self, read: Read) -> None:
        if isinstance(read, Waiting):
            self._publish(read)
        elif isinstance(read, Refused):
            self.wire.send_texts([_refusal(read.error, read.ref, read.interest)])
        else:
            try:
                self._change(read)
            except FluxError as error:
                self.wire.send_texts([_refusal(error, read.ref, read.interest)])

    def _change(self, wanted: Subscribe | Unsubscribe) -> None:
        if isinstance(wanted, Subscribe):
            self.listener.subscribe(
                wanted.interest, since=wanted.since, snapshot=wanted.snapshot
            )
        else:
            self.listener.unsubscribe(wanted.interest)

    def _is_allowed(self) -> bool:
        now = self._loop.time()
        earned = (now - self._counted_at) * MESSAGES_PER_SECOND
        self._counted_at = now
        self._allowance = min(self._allowance + earned, MESSAGES_AT_ONCE) - 1
        return self._allowance >= 0

    def _publish(self, waiting: Waiting) -> None:
        self._waiting.append(waiting)
        self._waiting_bytes += waiting.size + MESSAGE_BYTES
        self._commit()
        self._hold()

    def _commit(self) -> None:
        """Sends what waits to the committer, one group at a time."""
        if self._is_committing or not self._waiting:
            return
        group = self._next_group()
        commands = [command for one in group for command in one.commands]
        items = sum(len(one.items) for one in group)
        size = sum(endpoints.held_bytes(one.size, one.commands) for one in group)

        def answer(outcomes: list[Outcome] | FluxError) -> None:
            if items > MOST_COMMANDS:
                # To write so many results takes a while.
                writing = self._loop.run_in_executor(None, _answers, group, outcomes)
                writing.add_done_callback(lambda it: self._try(lambda: told(it)))
            else:
                self._acknowledge(group, _answers(group, outcomes))

        def told(writing: "asyncio.Future[list[bytes]]") -> None:
            self._acknowledge(group, writing.result())

        self._is_committing = True
        if not commands:
            self._loop.call_soon(answer, [])
            return
        try:
            committer.submit(self._loop, commands, answer, size=size)
        except FluxError as error:
            self._loop.call_soon(answer, error)

    def _next_group(self) -> list[Waiting]:
        count = items = 0
        for one in self._waiting:
            items += len(one.items)
            if count and items > MOST_COMMANDS:
                break
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    def _acknowledge(self, group: Sequence[Waiting], answers: Sequence[bytes]) -> None:
        self._is_committing = False
        for one in group:
            self._waiting_bytes -= one.size + MESSAGE_BYTES
            intake.give_back(one.size)
        self.wire.send_texts(answers)
        self._commit()
        self._hold()
        self._end_when_answered()

    def _hold(self) -> None:
        """Reads on, or not, as there is room."""
        is_held = (
            self._is_finishing
            or self._unread is not None
            or self._waiting_bytes > WAITING_BYTES
            or self.wire.is_full
        )
        if is_held != self._is_held:
            self._is_held = is_held
            self.wire.hold_reading(is_held=is_held)


def _answers(
    group: Sequence[Waiting], outcomes: list[Outcome] | FluxError
) -> list[bytes]:
    """The frame that tells the client what became of each message."""
    texts: list[bytes] = []
    place = 0
    for one in group:
        if isinstance(outcomes, FluxError):
            texts.append(_refusal(outcomes, one.ref))
            continue
        start, place = place, place + len(one.commands)
        results = endpoints.results(one.items, outcomes[start:place])
        texts.append(b'{"type":"published","ref":%b,"results":%b}' % (one.ref, results))
    return texts


def _refusal(
    error: FluxError, ref: bytes | None, interest: Interest | None = None
) -> bytes:
    text = frames.refusal(error, **interest.fields if interest else {})
    return text if ref is None else text[:-1] + b',"ref":%b}' % ref
