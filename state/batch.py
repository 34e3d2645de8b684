"""Events on their way to many listeners, with their frames made once. Pure.

Invariant: all who get a batch get the same bytes.
"""

from collections.abc import Sequence

from state import frames
from state.frames import Told


class Batch:
    """Events in the order of the log, and their frames in each framing, made once.

    bears_ids: whether a reader of Server-Sent Events may resume behind them.
    """

    __slots__ = ("_count", "_sse", "_texts", "_websocket", "bears_ids", "events")

    def __init__(self, events: Sequence[Told], *, bears_ids: bool = True) -> None:
        self.events = events
        self.bears_ids = bears_ids
        self._websocket: bytes | None = None
        self._sse: bytes | None = None
        self._texts: list[bytes] | None = None
        self._count: int | None = None

    @property
    def count(self) -> int:
        """How many frames these are."""
        if self._count is None:
            self._count = sum([told.count for told in self.events])
        return self._count

    @property
    def websocket(self) -> bytes:
        if self._websocket is None:
            self._websocket = b"".join([told.websocket for told in self.events])
        return self._websocket

    @property
    def sse(self) -> bytes:
        if self._sse is None:
            self._sse = (
                b"".join([told.sse for told in self.events])
                if self.bears_ids
                else b"".join(map(frames.sse, self.texts))
            )
        return self._sse

    @property
    def texts(self) -> list[bytes]:
        if self._texts is None:
            self._texts = [text for told in self.events for text in told.texts]
        return self._texts
