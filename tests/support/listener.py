"""What is common to those who listen to the live feed, however it reaches them.

A thread of its own reads each connection. Invariant: every frame is kept, in the order
of arrival; every wait is bounded; and a connection's end is always seen.
"""

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

from tests.support import exactly
from tests.support.account import DIRECTORY, Account
from tests.support.view import Frame, View

SECONDS = 30.0
HOST = "127.0.0.1"


@dataclass(frozen=True)
class End:
    """How a connection ended; 1006: without a word."""

    code: int
    reason: str


def connected(port: int, receive_bytes: int | None) -> socket.socket:
    line = socket.socket()
    if receive_bytes is not None:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    line.settimeout(SECONDS)
    try:
        line.connect((HOST, port))
    except OSError:
        line.close()
        raise
    return line


class Listener(ABC):
    """What came over one connection: its frames, the view and the account of them.

    view: go on folding into that one; by default into a new one.
    """

    def __init__(self, *, view: View | None = None) -> None:
        self.frames: list[Frame] = []
        self.view = view or View()
        self.view.reconnect()
        self.account = Account()
        self.end: End | None = None
        self.pause: Callable[[], object] = lambda: None  # between frames
        self._mark = 0
        self.news = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def listen(self) -> Self:
        self._thread.start()
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def _texts(self) -> Iterator[str]:
        """The frames as they arrive, to the connection's end; then calls `ended`."""

    def join(self) -> None:
        if self._thread.ident is not None:
            self._thread.join(SECONDS)
            assert not self._thread.is_alive(), "a listener does not end"

    @abstractmethod
    def close(self) -> None:
        """Ends the connection and its thread."""

    def _read(self) -> None:
        try:
            for text in self._texts():
                self._take(exactly.loads(text))
                self.pause()
        except (AssertionError, ValueError, KeyError, TypeError) as error:
            self.ended(End(0, f"not understood: {error!r}"))
            raise

    def _take(self, frame: Frame) -> None:
        with self.news:
            self.frames.append(frame)
            self.view.apply(frame)
            self.account.follow(frame)
            self.news.notify_all()

    def ended(self, end: End) -> None:
        with self.news:
            self.end = self.end or end
            self.news.notify_all()

    def wait(
        self,
        condition: Callable[[], object],
        *,
        what: str,
        seconds: float = SECONDS,
    ) -> None:
        """Until the condition is met, which is looked at when a frame has come."""
        with self.news:
            self.news.wait_for(lambda: condition() or self.end, seconds)
            found = condition()
        assert found, f"never came: {what}; {self.end}; the last: {self.frames[-3:]}"

    def wait_for_seq(self, seq: int, *, seconds: float = SECONDS) -> None:
        """Until the last frame of this event has come."""
        self.wait(lambda: seq in self.account, what=f"seq {seq}", seconds=seconds)

    def wait_for_end(self, *, seconds: float = SECONDS) -> End:
        with self.news:
            self.news.wait_for(lambda: self.end, seconds)
        assert self.end is not None, f"still open after {len(self.frames)} frames"
        return self.end

    def next(self, kind: str, *, seconds: float = SECONDS) -> Frame:
        """The first frame of this type behind the one that was last asked for."""
        at = self._mark

        def is_there() -> bool:
            nonlocal at
            while at < len(self.frames) and self.frames[at]["type"] != kind:
                at += 1
            return at < len(self.frames)

        self.wait(is_there, what=kind, seconds=seconds)
        self._mark = at + 1
        return self.frames[at]

    def of(self, *kinds: str) -> list[Frame]:
        return [frame for frame in self.frames if frame["type"] in kinds]

    def about(self, entity_id: str) -> list[Frame]:
        """The frames about one entity."""
        return [frame for frame in self.frames if frame.get("entity_id") == entity_id]

    @property
    def said(self) -> list[Frame]:
        """All frames but those that nobody's test can foresee."""
        return [
            frame
            for frame in self.frames
            if frame["type"] != "metrics_update" and frame.get("entity_id") != DIRECTORY
        ]
