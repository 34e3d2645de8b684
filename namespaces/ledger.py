"""What a group of commands takes from the buckets of its namespaces.

Invariant: a ledger never gives more than is left at its beginning, by a clock that is
rather late: what runs out while the group is made is left to the next one.
"""

import time
from collections.abc import Mapping

from flux_project.pipeline import Call
from namespaces import bucket, levels, limits
from namespaces.bucket import Level, NamespaceRateLimited

_NOTHING: Mapping[str, int] = {}


class Ledger:
    """One group's.

    found: what each namespace had spent; it may grow while the ledger is open.
    under_way: events that earlier groups write, of which that knows nothing yet.
    """

    __slots__ = (
        "_is_open",
        "_left",
        "_levels",
        "_limit",
        "_under_way",
        "refused",
        "spends",
    )

    def __init__(
        self, found: Mapping[str, Level], *, under_way: Mapping[str, int] = _NOTHING
    ) -> None:
        self._levels = found
        self._under_way = under_way
        self._is_open = False
        self._limit: int | None = None
        self._left: dict[str, int] = {}
        # How many events of each namespace the group stores, and how many it does not.
        self.spends: dict[str, int] = {}
        self.refused: dict[str, int] = {}

    @property
    def limit(self) -> int | None:
        """Events a minute, the same from its first use on: a group may be begun long
        before there is anything to do. None: as many as they like."""
        if not self._is_open:
            self._limit, self._is_open = levels.limit(), True
        return self._limit

    def knows(self, namespace: str) -> bool:
        """Whether it can say of a namespace how much is left to it."""
        return self.limit is None or namespace in self._levels

    def take(self, namespace: str, events: int) -> NamespaceRateLimited | None:
        """Spends for so many events of a namespace that it knows, or says why not."""
        limit = self.limit
        if limit is None:
            return None
        left = self._left.get(namespace)
        if left is None:
            left = bucket.left(self._spent(namespace, limit), limit=limit)
        if left < events:
            self.refused[namespace] = self.refused.get(namespace, 0) + events
            spent = self._spent(namespace, limit)
            return levels.refusal(namespace, events, spent, limit=limit)
        self._left[namespace] = left - events
        self.spends[namespace] = self.spends.get(namespace, 0) + events
        return None

    def _spent(self, namespace: str, limit: int) -> int:
        now = self._levels[namespace].spent_by(time.monotonic(), limit=limit)
        taken = self._under_way.get(namespace, 0) + self.spends.get(namespace, 0)
        return now + taken * bucket.EVENT

    def call(self, *, is_checked: bool) -> Call | None:
        """What writes it down; None: there is nothing."""
        if self._limit is None or not self.spends:
            return None
        return limits.spend(self.spends, limit=self._limit, is_checked=is_checked)
