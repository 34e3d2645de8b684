"""What the listeners that catch up share: the time of their loop, and memory.

Invariant: between two pieces of their work, the loop does whatever else waits; so those
who are live are told of news at once, however many others catch up.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

# A fold that is full takes nothing more until some of it is written, and what is behind
# it may be overwritten by then without being told. So large is each at most, all of
# them together, and each at least.
MOST_FOLD_BYTES = 1 << 20
LEAST_FOLD_BYTES = 64 << 10
ALL_FOLDS_BYTES = 32 << 20


class Turns:
    """One feed's."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self.held_bytes = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """For one piece of work, of a few milliseconds: theirs is one at a time."""
        async with self._lock:
            yield
            await asyncio.sleep(0)

    @contextmanager
    def share(self) -> Iterator["Share"]:
        """While somebody holds a fold."""
        share = Share(self)
        try:
            yield share
        finally:
            share.note(0)


class Share:
    """One fold's part of the memory."""

    __slots__ = ("_size", "_turns")

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._size = 0

    def note(self, size: int) -> None:
        """The fold has so many bytes now."""
        self._turns.held_bytes += size - self._size
        self._size = size

    @property
    def may_grow(self) -> bool:
        is_fair = self._turns.held_bytes < ALL_FOLDS_BYTES
        return self._size < (MOST_FOLD_BYTES if is_fair else LEAST_FOLD_BYTES)
