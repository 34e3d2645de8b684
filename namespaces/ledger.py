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

    levels: what each namespace had spent; it may grow while the ledger is open.
    limit: events a minute; None: as many as they like. under_way: events that earlier
    groups write, of which the levels know nothing yet.
    """

    __slots__ = ("_left", "_levels", "_limit", "_under_way", "spends")

    def __init__(
        self,
        levels: Mapping[str, Level],
        *,
        limit: int | None,
        under_way: Mapping[str, int] = _NOTHING,
    ) -> None:
        self._levels = levels
        self._limit = limit
        self._under_way = under_way
        self._left: dict[str, int] = {}
        # How many events of each namespace the group stores.
        self.spends: dict[str, int] = {}

    def knows(self, namespace: str) -> bool:
        """Whether it can say of a namespace how much is left to it."""
        return self._limit is None or namespace in self._levels

    def take(self, namespace: str, events: int) -> NamespaceRateLimited | None:
        """Spends for so many events, or says why it does not."""
        if self._limit is None:
            return None
        left = self._left.get(namespace)
        if left is None:
            left = bucket.left(self._spent(namespace), limit=self._limit)
        if left < events:
            spent = self._spent(namespace)
            return levels.refuse(namespace, events, spent, limit=self._limit)
        self._left[namespace] = left - events
        self.spends[namespace] = self.spends.get(namespace, 0) + events
        return None

    def _spent(self, namespace: str) -> int:
        assert self._limit is not None  # noqa: S101  by take
        now = self._levels[namespace].spent_by(time.monotonic(), limit=self._limit)
        taken = self._under_way.get(namespace, 0) + self.spends.get(namespace, 0)
        return now + taken * bucket.EVENT

    def call(self, *, is_checked: bool) -> Call | None:
        """What writes it down; None: there is nothing."""
        if self._limit is None or not self.spends:
            return None
        return limits.spend(self.spends, limit=self._limit, is_checked=is_checked)
