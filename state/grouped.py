"""Reads of single entities, gathered on the event loop: what waits is one query.

Invariant: every read that `submit` took is answered exactly once, by a query that began
after it was submitted.
"""

import asyncio
from collections import deque
from collections.abc import Callable

import structlog

from flux_project.database import DatabaseUnavailable
from flux_project.errors import FluxError
from flux_project.gather import Overloaded
from flux_project.looped import LoopConnection, Outcome
from state import reader
from state.reader import Found
from state.store import EntityNotFound

GROUP_READS = 500
GROUP_BYTES_EACH = 64 << 10
MAX_WAITING = 50_000
ANSWER_SECONDS = 10

logger = structlog.get_logger(__name__)
Answer = Callable[[Found | FluxError], None]
_Read = tuple[str, Answer]


class GroupedReads:
    """One loop's reads, one query under way at a time. Not for other threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._line = LoopConnection(
            loop,
            name="flux reader",
            statements=[reader.READ],
            answer_seconds=ANSWER_SECONDS,
        )
        self._waiting: deque[_Read] = deque()
        self._large: deque[_Read] = deque()
        self._under_way: list[_Read] = []
        self._is_scheduled = False

    def submit(self, entity_id: str, answer: Answer) -> None:
        """Reads an entity; `answer` is called once, later. Raises Overloaded."""
        if len(self._waiting) >= MAX_WAITING:
            raise Overloaded
        self._waiting.append((entity_id, answer))
        # On the loop's next round: until then more requests arrive and go along.
        if not (self._is_scheduled or self._under_way):
            self._is_scheduled = True
            self._loop.call_soon(self._begin)

    def close(self) -> None:
        """Drops the connection; reads under way are answered with an error."""
        self._line.close()

    def _begin(self) -> None:
        self._is_scheduled = False
        if self._under_way:
            return
        if self._large:
            self._ask([self._large.popleft()], most_bytes=reader.MAX_SIZE)
        elif self._waiting:
            take = min(GROUP_READS, len(self._waiting))
            group = [self._waiting.popleft() for _ in range(take)]
            self._ask(group, most_bytes=GROUP_BYTES_EACH)

    def _ask(self, group: list[_Read], *, most_bytes: int) -> None:
        self._under_way = group
        ids = list(dict.fromkeys([entity_id for entity_id, _ in group]))
        self._line.exchange([reader.ask(ids, most_bytes=most_bytes)], self._answered)

    def _answered(self, outcome: Outcome) -> None:
        """Answers the reads that were under way; the next query goes first."""
        group, self._under_way = self._under_way, []
        if not isinstance(outcome, list):
            self._fail(group)
            return
        found = reader.found(outcome[0])
        self._begin()
        for read in group:
            entity_id, answer = read
            entity = found.get(entity_id)
            if entity is not None and entity.body is None:
                self._large.append(read)
                continue
            _tell(answer, EntityNotFound() if entity is None else entity)
        if self._large and not self._under_way:
            self._begin()

    def _fail(self, group: list[_Read]) -> None:
        """Nobody waits for a database that is away: all hear of it now."""
        failed = [*group, *self._large, *self._waiting]
        self._large.clear()
        self._waiting.clear()
        for _, answer in failed:
            _tell(answer, DatabaseUnavailable())


def _tell(answer: Answer, result: Found | FluxError) -> None:
    try:
        answer(result)
    except Exception:
        # One request's bug must not keep the answers of its neighbours back.
        logger.exception("answer_failed")
