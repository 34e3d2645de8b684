"""Work that a server process repeats for ever: one thread, one place that catches.

Invariant: a failing round is logged and tried again, later and later; it never ends the
loop, and never goes unnoticed.
"""

import threading
from collections.abc import Callable

import structlog

LEAST_BACK_OFF_SECONDS = 0.1
MAX_BACK_OFF_SECONDS = 10.0

logger = structlog.get_logger(__name__)


class Repeater:
    """Calls `work` every `seconds` on a daemon thread of its own until `stop`."""

    def __init__(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        self.name = name
        self.seconds = seconds
        self.failures = 0
        self.round = work
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the loop after its current round."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._pause()):
            try:
                self.round()
            except Exception as error:  # noqa: BLE001  the loop must outlive any fault
                self.failures += 1
                logger.warning(
                    "round_failed",
                    loop=self.name,
                    failures=self.failures,
                    error=str(error),
                )
            else:
                self.failures = 0

    def _pause(self) -> float:
        if not self.failures:
            return self.seconds
        least = max(self.seconds, LEAST_BACK_OFF_SECONDS)
        return min(least * 2.0 ** min(self.failures, 10), MAX_BACK_OFF_SECONDS)
