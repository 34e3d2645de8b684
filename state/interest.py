"""What a listener wants to hear of, and the index that finds who wants an event. Pure.

Invariant: finding the subscribers of an event costs as many look-ups as its id is long,
at most, however many subscriptions there are.
"""

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from flux_project.errors import Invalid
from namespaces import names
from state.selection import Selection

EVERYTHING_ID = "*"
DIRECTORY_ID = f"{names.RESERVED_NAMESPACE}/directory"
Value = TypeVar("Value")


class InvalidSubscription(Invalid):
    """A subscription names exactly one of entity_id, prefix and namespace."""

    code = "invalid_subscription"


class Kind(Enum):
    """By what an interest selects; the values are the wire's names."""

    ENTITY = "entity_id"
    PREFIX = "prefix"
    NAMESPACE = "namespace"


@dataclass(frozen=True, slots=True)
class Interest:
    """One entity (`*`: all of them), a prefix of ids, or a namespace."""

    kind: Kind
    value: str

    @property
    def is_everything(self) -> bool:
        return self.kind is Kind.ENTITY and self.value == EVERYTHING_ID

    @property
    def fields(self) -> dict[str, str]:
        """It as a frame names it."""
        return {self.kind.value: self.value}

    @property
    def wants_directory(self) -> bool:
        """Whether it asks for the server's own entity; everything does not (§3)."""
        own = f"{names.RESERVED_NAMESPACE}/"
        if self.kind is Kind.PREFIX:
            return self.value.startswith(own) and DIRECTORY_ID.startswith(self.value)
        return self.value in {DIRECTORY_ID, names.RESERVED_NAMESPACE}

    def matches(self, entity_id: str, namespace: str) -> bool:
        if self.kind is Kind.PREFIX:
            return entity_id.startswith(self.value)
        if self.kind is Kind.NAMESPACE:
            return namespace == self.value
        return self.is_everything or entity_id == self.value

    def selection(self) -> Selection:
        """The same, as the tables are asked for it."""
        if self.kind is Kind.PREFIX:
            return Selection(prefix=self.value)
        if self.kind is Kind.NAMESPACE:
            return Selection(namespace=self.value)
        return Selection() if self.is_everything else Selection(ids=(self.value,))


EVERYTHING = Interest(Kind.ENTITY, EVERYTHING_ID)


def interest(given: Mapping[str, object]) -> Interest | None:
    """The interest that a message or a query names; None when it names none.

    Raises InvalidSubscription or InvalidEntityId, naming the field.
    """
    named = [kind for kind in Kind if given.get(kind.value) is not None]
    if not named:
        return None
    if len(named) > 1:
        raise InvalidSubscription
    kind = named[0]
    value = given[kind.value]
    if not isinstance(value, str):
        message = f"{kind.value} must be a string."
        raise InvalidSubscription(message, field=kind.value)
    if kind is Kind.ENTITY:
        names.entity_id(value)
    else:
        _check_beginning(value, field=kind.value)
    return EVERYTHING if kind is Kind.PREFIX and not value else Interest(kind, value)


def _check_beginning(value: str, *, field: str) -> None:
    if len(value) > names.MAX_ID_CHARACTERS or (not value and field != "prefix"):
        message = f"{field} must have 1 to {names.MAX_ID_CHARACTERS} characters."
        raise InvalidSubscription(message, field=field)
    if value and not value.isprintable():
        names.entity_id(value.replace("/", "x"), field=field)


class Index(Generic[Value]):
    """Interests, and what stands behind each."""

    def __init__(self) -> None:
        self._by_kind: dict[Kind, dict[str, Value]] = {kind: {} for kind in Kind}
        self._lengths: Counter[int] = Counter()
        self._shortest_first: list[int] = []

    def get(self, interest: Interest) -> Value | None:
        return self._by_kind[interest.kind].get(interest.value)

    def put(self, interest: Interest, value: Value) -> None:
        values = self._by_kind[interest.kind]
        if interest.kind is Kind.PREFIX and interest.value not in values:
            self._count(len(interest.value), 1)
        values[interest.value] = value

    def remove(self, interest: Interest) -> None:
        found = self._by_kind[interest.kind].pop(interest.value, None)
        if found is not None and interest.kind is Kind.PREFIX:
            self._count(len(interest.value), -1)

    def _count(self, length: int, change: int) -> None:
        if not self._lengths[length]:
            insort(self._shortest_first, length)
        self._lengths[length] += change
        if not self._lengths[length]:
            self._shortest_first.remove(length)

    def of(self, entity_id: str, namespace: str) -> list[Value]:
        """What stands behind the interests that an entity matches."""
        entities = self._by_kind[Kind.ENTITY]
        prefixes = self._by_kind[Kind.PREFIX]
        candidates = [
            entities.get(entity_id) if entity_id != EVERYTHING_ID else None,
            entities.get(EVERYTHING_ID),
            self._by_kind[Kind.NAMESPACE].get(namespace),
        ]
        if prefixes:
            fitting = bisect_right(self._shortest_first, len(entity_id))
            candidates += [
                prefixes.get(entity_id[:length])
                for length in self._shortest_first[:fitting]
            ]
        return [value for value in candidates if value is not None]

    def __len__(self) -> int:
        return sum(map(len, self._by_kind.values()))
