"""How fast events come, and from how many publishers, by the second.

Invariant: the numbers fall to 0 by themselves when nothing comes any more; memory is
bounded whatever comes.
"""

import time
from collections import deque
from collections.abc import Sequence

RATE_SECONDS = 5
PUBLISHER_SECONDS = 10
# Beyond about so many in one second, further sources of that second are not told apart.
MOST_SOURCES = 10_000


class _Second:
    """sources: their hashes, as a source may have 512 characters."""

    __slots__ = ("at", "events", "sources")

    def __init__(self, at: int) -> None:
        self.at = at
        self.events = 0
        self.sources: set[int] = set()


class Rates:
    """The last seconds, each counted for itself."""

    def __init__(self) -> None:
        self._seconds: deque[_Second] = deque(maxlen=PUBLISHER_SECONDS)

    def count(self, sources: Sequence[str]) -> None:
        """Counts events that came now; each has its source."""
        now = int(time.monotonic())
        if not self._seconds or self._seconds[-1].at != now:
            self._seconds.append(_Second(now))
        second = self._seconds[-1]
        second.events += len(sources)
        if len(second.sources) < MOST_SOURCES:
            second.sources.update(map(hash, sources[:MOST_SOURCES]))

    @property
    def per_second(self) -> float:
        """Events per second over the last five: of the second that lies only in part
        in them, its part. So a steady rate is told as it is at any moment."""
        now = time.monotonic()
        oldest = int(now) - RATE_SECONDS
        part = 1 - now % 1
        events = sum(
            one.events * (part if one.at == oldest else 1)
            for one in self._seconds
            if one.at >= oldest
        )
        return round(events / RATE_SECONDS, 1)

    @property
    def publishers(self) -> int:
        """Distinct sources in the running second and the nine whole ones before."""
        since = int(time.monotonic()) - PUBLISHER_SECONDS
        recent = [one.sources for one in self._seconds if one.at > since]
        return len(set[int]().union(*recent))
