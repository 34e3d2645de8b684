"""The wish to stop: SIGINT, SIGTERM or SIGHUP, once, turned into an exception.

Invariant: the exception is raised only where the program waits or said that it may be
interrupted, never between starting a process and knowing of it.
"""

import contextlib
import signal
import time
from collections.abc import Iterator
from types import FrameType

_SLICE_SECONDS = 0.1


class Stop(BaseException):
    """Somebody asked Flux to end. Like KeyboardInterrupt, nothing may swallow it."""


class Wish:
    def __init__(self) -> None:
        self.made = False
        self._interruptible = False

    def listen(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._heard)

    def check(self) -> None:
        if self.made:
            raise Stop

    def sleep(self, seconds: float) -> None:
        """As time.sleep, in slices, because Python resumes a sleep after a signal."""
        deadline = time.monotonic() + seconds
        self.check()
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE_SECONDS))
            self.check()

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Inside, a wish ends at once what runs: for work that may take long."""
        self._interruptible = True
        try:
            self.check()
            yield
        finally:
            self._interruptible = False

    def _heard(self, number: int, frame: FrameType | None) -> None:
        first, self.made = not self.made, True
        if first and self._interruptible:
            raise Stop
