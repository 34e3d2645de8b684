"""What a listener writes to: a connection, whatever protocol it speaks.

Invariant: a wire never blocks its caller, and what it holds beyond its bound is at most
what one call gave it.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from flux_project import metrics
from state.batch import Batch

# A wire that holds more than this is full: nothing live is written until it drains.
BOUND_BYTES = 64 << 10


class End(NamedTuple):
    """Why a connection is ended: the wire's word for it, and a WebSocket's close code.

    is_abrupt: without a goodbye, which the peer would not take.
    """

    reason: str
    code: int
    is_abrupt: bool = False


STALLED = End("stalled", 1008, is_abrupt=True)
LOG_RESET = End("log_reset", 1012)
SHUTTING_DOWN = End("shutting_down", 1012)
TOO_MANY_MESSAGES = End("too_many_messages", 1008)
OVERLOADED = End("overloaded", 1013)
FAILED = End("internal_error", 1011)


# What all wires of this process have sent.
frames_sent = metrics.Tally(metrics.FRAMES_SENT)


class Wire(Protocol):
    """A connection that frames are written to, from its event loop alone.

    ended: why this side has ended it; None while it has not.
    """

    is_websocket: bool
    ended: End | None

    @property
    def is_full(self) -> bool:
        """Whether it holds more than the peer takes at once."""

    def send(self, batch: Batch) -> None:
        """Writes events that many may get."""

    def send_texts(self, texts: Sequence[bytes], *, seq: int | None = None) -> None:
        """Writes frames that only this one gets; `seq`: where a reader of Server-Sent
        Events may resume once it has the last of them."""

    def tell(self, text: bytes) -> None:
        """Writes a frame that may be left out while the wire is full."""

    def beat(self) -> None:
        """Writes something that says nothing, so that a peer that is gone is seen."""

    async def drained(self) -> None:
        """Returns when the wire takes more; at once if it is not full. Also when the
        connection has ended."""

    def progress(self) -> int | None:
        """How many bytes the peer took so far; None when nothing is left to take."""

    def hold_reading(self, *, is_held: bool) -> None:
        """Stops reading from the peer, or goes on."""

    def end(self, why: End) -> None:
        """Ends the connection."""


class QueueWire:
    """A wire over plain ASGI, where a task passes on what was queued.

    Subclasses say how a batch becomes items; `take` gives them to that task.
    """

    def __init__(self) -> None:
        self._items: list[bytes] = []
        self._is_closed = False
        self.put_bytes = 0
        self.held_bytes = 0  # put here, and not yet taken by the server
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self.ended: End | None = None

    @property
    def is_full(self) -> bool:
        return self.held_bytes > BOUND_BYTES

    def put(self, items: Sequence[bytes], *, frames: int) -> None:
        if self._is_closed or self.ended is not None:
            return
        frames_sent.count += frames
        self._items += items
        size = sum(map(len, items))
        self.put_bytes += size
        self.held_bytes += size
        self._more.set()
        if self.is_full:
            self._room.clear()

    async def drained(self) -> None:
        await self._room.wait()

    def progress(self) -> int | None:
        return self.put_bytes - self.held_bytes if self.held_bytes else None

    def hold_reading(self, *, is_held: bool) -> None:
        """Over plain ASGI the server bounds what it reads ahead."""

    def end(self, why: End) -> None:
        if self.ended is None:
            self.ended = why
            self.close()
            self._items = [] if why.is_abrupt else self.last_words(why)

    def last_words(self, why: End) -> list[bytes]:
        """What is sent instead of what waits, where the protocol has no other way."""
        return []

    def close(self) -> None:
        """Nothing more is sent, not even what waits."""
        self._is_closed = True
        self._items = []
        self._more.set()
        self._room.set()

    async def take(self) -> list[bytes]:
        """What is to be sent next; empty when the connection is over."""
        while not self._items and not self._is_closed:
            self._more.clear()
            await self._more.wait()
        items, self._items = self._items, []
        return items

    def sent(self, item: bytes) -> None:
        """Notes that the server took an item."""
        self.held_bytes -= len(item)
        if not self.is_full:
            self._room.set()
