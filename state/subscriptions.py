"""What one connection is subscribed to, and what of it was delivered already. Pure.

Invariant: an event is wanted once, however many subscriptions it matches.
"""

from collections.abc import Iterable

from state.frames import Told
from state.interest import Index, Interest

# Up to so many, looking at each is quicker than an index.
_FEW = 4
# So many stretches that were conflated are told apart.
MOST_SKIPPED = 100


class Subscription:
    """One interest of a connection.

    since: events behind this seq belong to it.
    shown: by entity, the seq at which a snapshot has shown it; older events are part of
    what was shown.
    """

    __slots__ = ("_shown_upto", "interest", "is_over", "shown", "since")

    def __init__(self, interest: Interest, *, since: int) -> None:
        self.interest = interest
        self.since = since
        self.shown: dict[str, int] = {}
        self._shown_upto = 0
        self.is_over = False

    def show(self, entity_id: str, *, at: int) -> None:
        """Notes that a snapshot has shown an entity as it is at a seq."""
        self.shown[entity_id] = at
        self._shown_upto = max(self._shown_upto, at)

    def wants(self, told: Told) -> bool:
        """Whether it is to be told of an event that it matches."""
        return told.seq > self.since and told.seq > self.shown.get(
            told.effect.entity_id, 0
        )

    @property
    def settled_at(self) -> int:
        """From this seq on it wants all that it matches."""
        return max(self.since, self._shown_upto)


class Subscriptions:
    """Those of one connection that are in force."""

    __slots__ = ("_by_interest", "_index", "_skipped")

    def __init__(self) -> None:
        self._by_interest: dict[Interest, Subscription] = {}
        self._index: Index[Subscription] | None = None
        self._skipped: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._by_interest)

    def put(self, subscription: Subscription) -> None:
        """Takes one in, in place of an older one of the same interest."""
        self._by_interest[subscription.interest] = subscription
        if self._index is not None:
            self._index.put(subscription.interest, subscription)

    def remove(self, interest: Interest) -> Subscription | None:
        if self._index is not None:
            self._index.remove(interest)
        return self._by_interest.pop(interest, None)

    def get(self, interest: Interest) -> Subscription | None:
        return self._by_interest.get(interest)

    def interests(self) -> list[Interest]:
        return list(self._by_interest)

    @property
    def settled_at(self) -> int:
        """From this seq on they want all that they match."""
        return max((one.settled_at for one in self._by_interest.values()), default=0)

    def wants(self, told: Told) -> bool:
        """Whether an event that was not delivered yet is to be.

        Deletions go to everybody, but for who was told already that it is so.
        """
        matching = self._matching(told)
        if not matching:
            return told.effect.is_tombstone
        return any(one.wants(told) for one in matching)

    def delivered(self, told: Told, *, but: Subscription) -> bool:
        """Whether another one of these has delivered an event of the past; of what was
        conflated nobody knows, so that it is told."""
        if any(low <= told.seq <= high for low, high in self._skipped):
            return False
        return any(one.wants(told) for one in self._matching(told) if one is not but)

    def skip(self, low: int, high: int) -> None:
        """Notes that of these events only the newest values were told."""
        if self._skipped and (
            self._skipped[-1][1] + 1 >= low or len(self._skipped) >= MOST_SKIPPED
        ):
            low = min(low, self._skipped.pop()[0])
        self._skipped.append((low, high))

    def _matching(self, told: Told) -> Iterable[Subscription]:
        effect = told.effect
        if len(self._by_interest) <= _FEW:
            return [
                one
                for interest, one in self._by_interest.items()
                if interest.matches(effect.entity_id, effect.namespace)
            ]
        if self._index is None:
            self._index = Index()
            for interest, one in self._by_interest.items():
                self._index.put(interest, one)
        return self._index.of(effect.entity_id, effect.namespace)
