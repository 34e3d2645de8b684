"""Whether a feed keeps up with the log.

A feed says what it saw of the log and how far it has handed it out. Invariant: it is
late exactly when LATE_SECONDS ago there was something in the log, or nobody knows
whether there was, that its listeners have not been told.
"""

import time

LATE_SECONDS = 5.0


class Pace:
    """One feed's. Other threads may read `is_late`."""

    def __init__(self) -> None:
        # Where the log ended when it was read, and when, until that is handed out.
        self._goal: tuple[int, float] | None = None
        self._abreast_at = time.monotonic()

    def saw(self, head: int, *, position: int) -> None:
        """The log was read now and ended at `head`; `position` is handed out."""
        if self._goal is None:
            self._goal = head, time.monotonic()
        self.reached(position)

    def reached(self, position: int) -> None:
        """So far it is handed out now."""
        if self._goal is not None and position >= self._goal[0]:
            _, self._abreast_at = self._goal
            self._goal = None

    def reset(self) -> None:
        """The log is another one: its places mean something else."""
        self._goal = None

    @property
    def is_late(self) -> bool:
        return time.monotonic() - self._abreast_at > LATE_SECONDS
