"""The feed: committed events → the listeners of this process, in the log's order.

It owns one cursor. What this process commits is offered to it; what does not continue
the cursor makes it read the log behind it, as do notifications of other processes and a
poll. A lost wake-up costs time, never an event. Invariant: the events handed to the
topics are the log's from where the feed began, without a hole, each once.
"""

import asyncio
from collections.abc import Sequence
from functools import partial

import psycopg
import structlog

from events import announce, follow, log
from events.announce import Committed
from events.envelope import Event
from events.follow import Pulse
from flux_project import looped, metrics
from flux_project.database import DatabaseUnavailable
from flux_project.errors import Invalid, Unavailable
from flux_project.looped import LoopConnection
from state import directory, neighbours
from state.batch import Batch
from state.frames import Told
from state.interest import DIRECTORY_ID, Interest, Kind
from state.neighbours import Neighbours
from state.outlet import Outlet
from state.past import Past, told_of
from state.rates import Rates
from state.selection import Selection
from state.turns import Turns
from state.wires import LOG_RESET

POLL_SECONDS = 0.5
# Other processes hear of commits at most so often; the log tells them what there is.
WAKE_SECONDS = 0.005
ANSWER_SECONDS = 10

_EVERYTHING = Selection()
_DIRECTORY = Interest(Kind.ENTITY, DIRECTORY_ID)
logger = structlog.get_logger(__name__)


class SinceAhead(Invalid):
    """`since` lies beyond the end of the log."""

    code = "since_ahead"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message, field="since")


class FeedUnavailable(Unavailable):
    """The live feed does not keep up with the log now: listeners hear of it late."""

    code = "feed_unavailable"


class Feed:
    """One loop's feed. Not for other threads.

    It owns one cursor: what stands up to there was given to `outlet`, or is known to be
    of no interest to anybody.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.outlet = Outlet(loop)
        self.topics, self.recent = self.outlet.topics, self.outlet.recent
        self.pace = self.outlet.pace
        self.rates = Rates()
        self.neighbours = Neighbours()
        self.past = Past(loop)
        self.turns = Turns()
        self._cursor = -1
        self._last_id = ""
        self._log_id = b""
        self._served_by = 0  # PostgreSQL's process
        self._is_reading = False
        self._wants_reading = False
        self._is_waking = False
        self._poll: asyncio.TimerHandle | None = None
        self._showing: asyncio.Task[None] | None = None
        self._line = LoopConnection(
            loop,
            name="flux feed",
            statements=[log.HEAD[0], *follow.STATEMENTS, *neighbours.STATEMENTS],
            answer_seconds=ANSWER_SECONDS,
            channels=[log.CHANNEL, neighbours.CHANNEL, directory.CHANNEL],
            heard=self._heard,
        )

    def start(self) -> None:
        """Begins where the log ends now."""
        announce.follow(self.loop, self)
        self._tick()

    def stop(self) -> None:
        """Ends the connection; the listeners are ended by who runs the server."""
        announce.unfollow(self.loop)
        for waiting in (self._poll, self._showing):
            if waiting is not None:
                waiting.cancel()
        self._line.close()
        self.past.close()

    @property
    def position(self) -> int:
        """The seq up to which all was handed out; -1 before the log was seen."""
        return self.outlet.position

    @property
    def has_begun(self) -> bool:
        return self.position >= 0

    def offer(self, committed: Committed) -> None:
        """Takes what this process has committed, if it continues the cursor."""
        # Nobody but this process knows of it, whether it is news here or not.
        self._wake_others()
        first, events = committed.first_seq, committed.events
        if self._cursor < 0 or first > self._cursor + 1:
            self._read()
            return
        at = committed.recorded_at
        known = self._cursor + 1 - first
        if not self.outlet.is_needed:
            self._pass_over(events[known:])
            return
        told = [
            Told(event, seq=seq, recorded_at=at)
            for seq, event in enumerate(events[known:], first + known)
        ]
        if told:
            self._take(told, events[-1].event_id)

    def _pass_over(self, events: Sequence[Event]) -> None:
        """Takes what nobody here listens to."""
        if events:
            self._cursor += len(events)
            self._last_id = events[-1].event_id
            self.rates.count([event.source for event in events])
            self.outlet.pass_over(self._cursor)

    async def moved(self) -> None:
        """Returns when more was handed out, or the log became another one."""
        await self.outlet.moved()

    async def reach(self, seq: int) -> None:
        """Returns once the feed has handed out `seq`, and all that is committed now.

        So who was told of a commit, and asks for what came since, finds it in there.
        Raises SinceAhead when the log ends before `seq`, and DatabaseUnavailable.
        """
        head = await self._head(known=max(seq, self._cursor))
        if seq > head:
            raise SinceAhead(f"since is {seq}, but the log ends at {head}.")
        if head > self._cursor:
            self._read()
        await self.outlet.handed_out(head)

    async def _head(self, *, known: int) -> int:
        """Where the log ends; while the database is away, what is known of that."""
        future: asyncio.Future[looped.Outcome] = self.loop.create_future()
        self._line.exchange([log.HEAD], partial(_resolve, future))
        outcome = await future
        if isinstance(outcome, list):
            return log.head(outcome[0]).seq
        if known > self._cursor:
            raise DatabaseUnavailable
        return known

    def _tick(self) -> None:
        self._poll = self.loop.call_later(POLL_SECONDS, self._tick)
        self._read()

    def _heard(self, channel: str, payload: str) -> None:
        if channel == neighbours.CHANNEL:
            if self.neighbours.hear(payload):
                self.say()  # so that a new process knows of this one at once
        elif channel == directory.CHANNEL:
            self._show_directory()
        elif payload != self.neighbours.mark:
            self._read()

    def _show_directory(self) -> None:
        """Tells the server's own entity, which is no part of the log, to who asked."""
        if self.topics.want_directory and self._showing is None:
            self._showing = self.loop.create_task(self._read_directory())

    async def _read_directory(self) -> None:
        try:
            rows, _ = await self.past.entities(_DIRECTORY, after="")
            for row in rows:
                # Its seq says that what came before was told: who resumes there would
                # miss what was not.
                await self.outlet.handed_out(row.seq)
                batch = Batch([told_of(row)], bears_ids=False)
                self.topics.deliver_directory(batch)
        except psycopg.Error:
            logger.exception("directory_not_told")
        finally:
            self._showing = None

    def say(self) -> None:
        """Tells the other processes that this one is there."""
        self._line.exchange([self.neighbours.say(self.topics.sockets)], _ignore)

    def _wake_others(self) -> None:
        if not self._is_waking and self.neighbours.exist:
            self._is_waking = True
            self.loop.call_later(WAKE_SECONDS, self._wake_now)

    def _wake_now(self) -> None:
        self._is_waking = False
        self._line.exchange([self.neighbours.wake(log.CHANNEL)], _ignore)

    def _read(self) -> None:
        """Reads the log behind the cursor; one reading at a time."""
        if self._is_reading:
            self._wants_reading = True
            return
        self._is_reading, self._wants_reading = True, False
        cursor = max(self._cursor, 0)
        if self._cursor < 0:
            self._line.exchange([log.HEAD], self._begun)
            return
        asked = follow.ask_after(
            cursor, upto=cursor + follow.WINDOW, selection=_EVERYTHING
        )
        metrics.FEED_READS.inc()
        self._line.exchange(
            [follow.ask_pulse(cursor), asked],
            partial(self._was_read, cursor, self._last_id),
        )

    def _begun(self, outcome: looped.Outcome) -> None:
        self._is_reading = False
        if isinstance(outcome, list):
            head = log.head(outcome[0])
            self._cursor = head.seq
            self._last_id, self._log_id = head.event_id, head.log_id
            self.outlet.begin(head.seq)
            self._saw(head.seq)
            self.say()

    def _was_read(self, cursor: int, last_id: str, outcome: looped.Outcome) -> None:
        self._is_reading = False
        if not isinstance(outcome, list):
            return  # the poll tries again
        pulse = follow.pulse(outcome[0])
        if self._is_other(cursor, last_id, pulse):
            self._reset()
            return
        found, _ = follow.after(
            outcome[1], cursor, upto=cursor + follow.WINDOW, selection=_EVERYTHING
        )
        new = [row for row in found if row.seq > self._cursor]
        if new:
            told = [Told(one, seq=one.seq, recorded_at=one.recorded_at) for one in new]
            self._take(told, new[-1].event_id)
        self._saw(pulse.seq)
        if self._wants_reading or new:
            self._read()

    def _saw(self, head: int) -> None:
        """The log was read, and ended there."""
        self.pace.saw(head, position=self.position)
        served_by, self._served_by = self._served_by, self._line.backend_pid
        if served_by not in {0, self._served_by}:
            metrics.FEED_RECONNECTS.inc()

    def _is_other(self, cursor: int, last_id: str, pulse: Pulse) -> bool:
        """Whether the log is not the one that the cursor belongs to."""
        is_cut = pulse.seq < cursor or (cursor > 0 and pulse.event_id != last_id)
        return pulse.log_id != self._log_id or is_cut

    def _reset(self) -> None:
        """Another log: nobody's position means anything there."""
        logger.warning("log_reset", position=self._cursor)
        self._cursor = -1
        self.pace.reset()
        self.topics.end_all(LOG_RESET)
        if self._showing is not None:
            self._showing.cancel()
        self.outlet.begin(-1)
        self._read()

    def _take(self, events: Sequence[Told], last_id: str) -> None:
        self._cursor, self._last_id = events[-1].seq, last_id
        self.rates.count([told.effect.source for told in events])
        self.outlet.put(events)


def _resolve(future: "asyncio.Future[looped.Outcome]", outcome: looped.Outcome) -> None:
    if not future.done():
        future.set_result(outcome)


def _ignore(outcome: looped.Outcome) -> None:
    """A lost word to the others costs them time, nothing more."""


_feeds: dict[asyncio.AbstractEventLoop, Feed] = {}


def current() -> Feed:
    """The feed of the running loop; started by the first call."""
    loop = asyncio.get_running_loop()
    feed = _feeds.get(loop)
    if feed is None:
        feed = _feeds[loop] = Feed(loop)
        feed.start()
    return feed


def running() -> Feed | None:
    """A feed of this process, for who asks from a thread; None: nobody listened yet."""
    return next(iter(list(_feeds.values())), None)


def check() -> None:
    """Raises FeedUnavailable when a feed of this process is late. Any thread may ask.

    One that was never started, as nobody listens, is no fault.
    """
    if any(feed.pace.is_late for feed in list(_feeds.values())):
        raise FeedUnavailable


def stop(loop: asyncio.AbstractEventLoop) -> None:
    """Ends the feed of a loop."""
    feed = _feeds.pop(loop, None)
    if feed is not None:
        feed.stop()
