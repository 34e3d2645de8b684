"""The newest events of a feed, kept so that who is a little behind needs no database.

Invariant: what is kept is one stretch of the log without a hole, bounded in events and
bytes, and ends where the feed is.
"""

from collections.abc import Sequence

from state.frames import Told

MOST_EVENTS = 10_000
MOST_BYTES = 8 << 20


class Recent:
    """The stretch; empty at first."""

    def __init__(self) -> None:
        self._events: list[Told] = []
        self._size = 0

    def add(self, events: Sequence[Told]) -> None:
        """Takes events that continue the stretch; forgets the oldest, when it has grown
        to twice its bounds, so that this costs little each."""
        self._events += events
        self._size += sum([told.size for told in events])
        if len(self._events) > 2 * MOST_EVENTS or self._size > 2 * MOST_BYTES:
            self._forget()

    def _forget(self) -> None:
        size, start = 0, len(self._events)
        least = max(0, start - MOST_EVENTS)
        while start > least and size < MOST_BYTES:
            start -= 1
            size += self._events[start].size
        self._events = self._events[start:]
        self._size = size

    def after(self, seq: int, *, most: int) -> list[Told] | None:
        """Up to `most` events behind `seq`; None when the next one is forgotten."""
        if not self._events:
            return None
        place = seq + 1 - self._events[0].seq
        if place < 0:
            return None
        return self._events[place : place + most]

    def clear(self) -> None:
        self._events = []
        self._size = 0
