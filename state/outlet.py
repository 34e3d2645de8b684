"""What a feed took from the log → its listeners, a piece at a time.

Invariant: what is handed out are the events that were put, in their order, each once;
and between two pieces the loop does whatever else waits.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence

import structlog

from flux_project import metrics
from state.frames import Told
from state.pace import Pace
from state.recent import Recent
from state.topics import Topics
from state.wires import FAILED

# So much is handed out before the loop does something else.
CHUNK_BYTES = 64 << 10

logger = structlog.get_logger(__name__)


class Outlet:
    """One loop's. Not for other threads.

    position: the seq up to which everything was handed out; -1 before the log was seen.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.topics = Topics()
        self.recent = Recent()
        self.pace = Pace()
        self.position = -1
        self._loop = loop
        self._queue: deque[Told] = deque()
        self._is_delivering = False
        self._moved: list[asyncio.Future[None]] = []

    def begin(self, position: int) -> None:
        """The log was seen to end there; -1: it is not known where."""
        self._queue.clear()
        self.recent.clear()
        self._move(position)

    def pass_over(self, position: int) -> None:
        """What nobody listens to counts as handed out up to there."""
        self.recent.clear()
        self._move(position)

    @property
    def is_needed(self) -> bool:
        """Whether anybody listens, or is still to be told something."""
        return bool(self.topics.listeners or self._queue)

    def put(self, events: Sequence[Told]) -> None:
        """Takes events that continue those before."""
        self._queue.extend(events)
        if not self._is_delivering:
            self._is_delivering = True
            self._loop.call_soon(self._deliver)

    async def moved(self) -> None:
        """Returns when more was handed out, or the log became another one."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._moved.append(future)
        await future

    async def handed_out(self, seq: int) -> None:
        """Returns when everything up to there was handed out."""
        while self.position < seq:
            await self.moved()

    def _deliver(self) -> None:
        """Hands out a chunk; the next one goes after what else the loop has to do."""
        chunk = self._next_chunk()
        self._is_delivering = bool(self._queue)
        if self._is_delivering:
            self._loop.call_soon(self._deliver)
        if not chunk:
            return
        self.recent.add(chunk)
        self.position = chunk[-1].seq
        try:
            self.topics.deliver(chunk)
        except Exception:
            # Some may have been told and some not: none may believe it was told all.
            logger.exception("not_delivered")
            self.topics.end_all(FAILED)
        for told in chunk:
            told.forget_frames()
        metrics.FEED_LAG.observe(max(0.0, time.time() - chunk[-1].recorded_at / 1e6))
        self._move(self.position)

    def _next_chunk(self) -> list[Told]:
        chunk: list[Told] = []
        size = 0
        while self._queue and size < CHUNK_BYTES:
            chunk.append(self._queue.popleft())
            size += chunk[-1].size
        return chunk

    def _move(self, position: int) -> None:
        self.position = position
        metrics.FEED_SEQ.set(max(position, 0))
        self.pace.reached(position)
        waiting, self._moved = self._moved, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
