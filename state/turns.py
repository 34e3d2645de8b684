"""What the listeners that catch up share: the time of their loop, and memory.

Invariant: between two pieces of their work, the loop does whatever else waits; so those
who are live are told of news at once, however many others catch up.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

# The most and the least that one of them folds before it writes: the more, the fewer
# values it tells that are overwritten later; and all of them together.
MOST_FOLD_BYTES = 1 << 20
LEAST_FOLD_BYTES = 64 << 10
ALL_FOLDS_BYTES = 32 << 20


class Turns:
    """One feed's."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._folding = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """For one piece of work, of a few milliseconds: theirs is one at a time."""
        async with self._lock:
            yield
            await asyncio.sleep(0)

    @contextmanager
    def folding(self) -> Iterator[None]:
        """While somebody holds a fold."""
        self._folding += 1
        try:
            yield
        finally:
            self._folding -= 1

    @property
    def fold_bytes(self) -> int:
        """How large a fold may grow before it is written."""
        share = ALL_FOLDS_BYTES // max(1, self._folding)
        return min(max(LEAST_FOLD_BYTES, share), MOST_FOLD_BYTES)
