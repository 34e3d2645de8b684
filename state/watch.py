"""Looking after the listeners: who may come in, who is gone, what all are told.

One timer for all of them, so that a thousand silent connections cost next to nothing.
Invariant: a peer that takes no byte for `FLUX_STALL_SECONDS`, though some are waiting
for it, is ended; nobody else is.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import structlog
from django.conf import settings

from flux_project import looped, processes
from flux_project.database import DatabaseUnavailable
from flux_project.errors import Unavailable
from flux_project.gather import ShuttingDown
from flux_project.looped import LoopConnection
from state import feed as feeds
from state import gauges, neighbours
from state.feed import Feed
from state.messages import Subscribe
from state.topics import Subscriber
from state.wires import STALLED

BEGIN_SECONDS = 5.0
METRICS_SECONDS = neighbours.SAY_SECONDS
BEAT_SECONDS = 15.0
# So often in its time a peer is looked at.
SWEEPS = 12
# Of the files that a process may have open, so many are not for listeners: its
# connections to the database, and those of clients that ask for something else.
RESERVED_FILES = 100
# So many listeners at once; then the loop does something else: a write takes 5 us.
AT_ONCE = 200


logger = structlog.get_logger(__name__)


class TooManyConnections(Unavailable):
    """This server has as many listening connections as it takes; try again later."""

    code = "too_many_connections"


async def admitted(wanted: Subscribe | None) -> Feed:
    """The feed, for a connection that may join it.

    Raises TooManyConnections, SinceAhead, DatabaseUnavailable while the feed has not
    seen the log yet, and ShuttingDown.
    """
    feed = current()
    watch = _watches[feed.loop]
    watch.check_door()
    try:
        async with watch.waiting():
            while not feed.has_begun:
                await feed.moved()
            if wanted is not None and wanted.since is not None:
                await feed.reach(wanted.since)
    except TimeoutError:
        watch.check_door()
        raise DatabaseUnavailable from None
    watch.check_door()  # others came meanwhile
    return feed


class Watch:
    """What is done for all listeners of a feed, now and then."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._most_listeners = _most_listeners()
        self._is_shut = False
        self._waiting: set[asyncio.Timeout] = set()
        self._entities = 0
        self._counted_at = -1
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._line = LoopConnection(
            feed.loop,
            name="flux gauges",
            statements=gauges.STATEMENTS,
            answer_seconds=feeds.ANSWER_SECONDS,
        )

    def start(self) -> None:
        self._every(METRICS_SECONDS, self._tell_metrics)
        self._every(settings.FLUX_STALL_SECONDS / SWEEPS, self._sweep)
        self._every(BEAT_SECONDS, self._beat)

    def stop(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._line.close()

    def shut(self) -> None:
        """Nobody comes in any more; who waits for that is refused at once."""
        self._is_shut = True
        for timeout in self._waiting:
            timeout.reschedule(self._feed.loop.time())

    def check_door(self) -> None:
        """Raises ShuttingDown or TooManyConnections when nobody may come in."""
        if self._is_shut:
            raise ShuttingDown
        if len(self._feed.topics.listeners) >= self._most_listeners:
            raise TooManyConnections

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """For one who waits for the feed. Raises TimeoutError when it took too long, or
        the door was shut."""
        async with asyncio.timeout(BEGIN_SECONDS) as timeout:
            self._waiting.add(timeout)
            try:
                yield
            finally:
                self._waiting.discard(timeout)

    def _every(self, seconds: float, work: Callable[[], None]) -> None:
        def again() -> None:
            self._timers[work.__name__] = self._feed.loop.call_later(seconds, again)
            work()

        self._timers[work.__name__] = self._feed.loop.call_later(seconds, again)

    def _tell_metrics(self) -> None:
        feed = self._feed
        feed.say()
        if not feed.topics.listeners:
            return
        if self._counted_at == feed.position:
            self._tell_all()
        else:
            counted = partial(self._counted, feed.position)
            self._line.exchange([gauges.ASK_TOTAL], counted)

    def _counted(self, position: int, outcome: looped.Outcome) -> None:
        if isinstance(outcome, list):
            self._entities, self._counted_at = gauges.total(outcome[0]), position
        self._tell_all()

    def _tell_all(self) -> None:
        text = gauges.frame(self._feed, entities=self._entities)
        self._for_each(lambda listener: listener.wire.tell(text))

    def _beat(self) -> None:
        self._for_each(_beat)

    def _sweep(self) -> None:
        """Ends those that have taken nothing for too long."""
        self._for_each(self._look_at)

    def _look_at(self, listener: Subscriber) -> None:
        stalled = listener.stalled_seconds(self._feed.loop.time())
        if stalled >= settings.FLUX_STALL_SECONDS:
            listener.end(STALLED)

    def _for_each(self, work: Callable[[Subscriber], None]) -> None:
        """Does something for all listeners, some at a time."""
        self._some(deque(self._feed.topics.listeners), work)

    def _some(
        self, left: deque[Subscriber], work: Callable[[Subscriber], None]
    ) -> None:
        for _ in range(min(AT_ONCE, len(left))):
            work(left.popleft())
        if left:
            self._feed.loop.call_soon(self._some, left, work)


def _most_listeners() -> int:
    """How many listeners this process takes: without a file for its connection, one
    more would be ended without a word."""
    open_files = processes.allow_open_files()
    possible = max(1, open_files - RESERVED_FILES)
    if possible < settings.FLUX_MAX_LISTENERS:
        logger.warning(
            "too_few_open_files",
            open_files=open_files,
            FLUX_MAX_LISTENERS=settings.FLUX_MAX_LISTENERS,
            listeners=possible,
            remedy="allow this process more open files (ulimit -Hn, LimitNOFILE), or"
            f" set FLUX_MAX_LISTENERS to {possible}",
        )
    return min(settings.FLUX_MAX_LISTENERS, possible)


def _beat(listener: Subscriber) -> None:
    if not listener.wire.is_full:
        listener.wire.beat()


_watches: dict[asyncio.AbstractEventLoop, Watch] = {}


def current() -> Feed:
    """The running loop's feed, looked after from now on."""
    feed = feeds.current()
    if feed.loop not in _watches:
        _watches[feed.loop] = Watch(feed)
        _watches[feed.loop].start()
    return feed


def shut() -> None:
    """The server is about to end: its running loop's feed takes no new listener. Those
    that are there end with their connections."""
    watch = _watches.get(asyncio.get_running_loop())
    if watch is not None:
        watch.shut()


def stop() -> None:
    """Ends the running loop's feed."""
    loop = asyncio.get_running_loop()
    watch = _watches.pop(loop, None)
    if watch is not None:
        watch.stop()
        feeds.stop(loop)
