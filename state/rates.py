"""How fast events come, and from how many publishers, by the second.

Invariant: the numbers fall to 0 by themselves when nothing comes any more; memory is
bounded whatever comes.
"""

import time
from collections import deque
from collections.abc import Sequence

RATE_SECONDS = 5
PUBLISHER_SECONDS = 10
# Beyond so many in one second, further sources of that second are not told apart.
MOST_SOURCES = 10_000


class _Second:
    __slots__ = ("at", "events", "sources")

    def __init__(self, at: int) -> None:
        self.at = at
        self.events = 0
        self.sources: set[str] = set()


class Rates:
    """The last seconds, each counted for itself."""

    def __init__(self) -> None:
        self._seconds: deque[_Second] = deque(maxlen=PUBLISHER_SECONDS + 1)

    def count(self, sources: Sequence[str]) -> None:
        """Counts events that came now; each has its source."""
        now = int(time.monotonic())
        if not self._seconds or self._seconds[-1].at != now:
            self._seconds.append(_Second(now))
        second = self._seconds[-1]
        second.events += len(sources)
        if len(second.sources) < MOST_SOURCES:
            second.sources.update(sources[:MOST_SOURCES])

    @property
    def per_second(self) -> float:
        """Events per second, over the last five whole seconds and the running one."""
        now = int(time.monotonic())
        recent = [one.events for one in self._seconds if one.at > now - RATE_SECONDS]
        return sum(recent) / RATE_SECONDS

    @property
    def publishers(self) -> int:
        """Distinct sources in the last ten seconds."""
        since = int(time.monotonic()) - PUBLISHER_SECONDS
        recent = [one.sources for one in self._seconds if one.at > since]
        return len(set[str]().union(*recent))
