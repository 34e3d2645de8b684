"""The rule of derivation: the events of one entity, in log order → one Change (§2).

Pure: state is a fold of events, and this is the fold. A Change says what a group of
events does to the entity as it stood before the group. Invariant: applying the Change
is the same as applying its events one by one, so grouping never shows.
"""

from typing import Protocol

import msgspec

from events import envelope

_encode = msgspec.json.Encoder().encode
_NO_KEYS: frozenset[str] = frozenset()


class Effect(Protocol):
    """What the rule needs to know of an event: a published one, or one of the log."""

    @property
    def properties(self) -> bytes: ...

    @property
    def unset(self) -> tuple[str, ...]: ...

    @property
    def is_tombstone(self) -> bool: ...


class Change:
    """What a group's events do to one entity.

    exists, version: the entity after the events applied so far.
    restarts: everything it was before the group is dropped.
    size_bound: at most this many bytes its text form takes, as far as it is known.
    unset: keys of the entity before the group that are removed.
    seq: position of the newest event that was applied; 0 before the first.
    """

    __slots__ = (
        "_merged",
        "_only",
        "entity_id",
        "existed",
        "exists",
        "namespace",
        "restarts",
        "seq",
        "size_bound",
        "unset",
        "version",
    )

    def __init__(
        self, entity_id: str, namespace: str, *, version: int = 0, size: int = 0
    ) -> None:
        """The entity before the group: `version` 0 says that there is none."""
        self.entity_id = entity_id
        self.namespace = namespace
        self.existed = self.exists = version > 0
        self.version = version
        self.size_bound = size
        self.restarts = False
        self.unset = _NO_KEYS
        self.seq = 0
        self._only: bytes | None = None
        self._merged: dict[str, msgspec.Raw] | None = None

    def apply(self, event: Effect, seq: int) -> None:
        """Folds one more event in, at its place `seq` in the log."""
        self.seq = seq
        if event.is_tombstone:
            self._restart(exists=False)
            return
        if not self.exists:
            self._restart(exists=True)
        self.version += 1
        self._remove(event.unset)
        self._set(event.properties)

    def _restart(self, *, exists: bool) -> None:
        self.exists = exists
        self.restarts = True
        self.version = 0
        self.unset = _NO_KEYS
        self._only = self._merged = None

    def _remove(self, keys: tuple[str, ...]) -> None:
        if not keys:
            return
        merged = self._spread()
        for key in keys:
            merged.pop(key, None)
        if not self.restarts:
            self.unset |= set(keys)

    def _set(self, properties: bytes) -> None:
        # Most entities get one event in a group: its text goes to the database as it
        # came, without being taken apart here.
        if self._only is None and not self._merged:
            self._only = properties
            return
        self._spread().update(envelope.properties_of(properties))

    def _spread(self) -> dict[str, msgspec.Raw]:
        """The properties set so far, taken apart."""
        if self._merged is None:
            self._merged = {}
        if self._only is not None:
            self._merged.update(envelope.properties_of(self._only))
            self._only = None
        return self._merged

    @property
    def set_text(self) -> bytes:
        """The JSON object of the properties that the group sets."""
        return self._only if self._only is not None else _encode(self._merged or {})

    def copy(self) -> "Change":
        """An independent copy, to try an event that may turn out too large."""
        other = Change(self.entity_id, self.namespace)
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        other._merged = None if self._merged is None else dict(self._merged)
        return other
