"""What a client makes of the frames it gets: the state, folded from the feed.

It is what the contract lets a client assume, and nothing more: each value counts from
its `seq` on, whatever was received before or after it. Invariant: a value is never
replaced by an older one, and what a tombstone or a snapshot ended never comes back.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Frame = dict[str, Any]
Values = dict[str, Any]


@dataclass
class _Known:
    """floor: frames before this seq say nothing new. values: seq, value, is it there"""

    floor: int = 0
    newest: int = 0
    values: dict[str, tuple[int, Any, bool]] = field(default_factory=dict)

    @property
    def exists(self) -> bool:
        return self.newest >= self.floor and self.newest > 0

    def properties(self) -> Values:
        return {
            name: value
            for name, (_, value, is_there) in list(self.values.items())
            if is_there
        }

    def cut(self, floor: int) -> None:
        """Whatever is older than this is over."""
        if floor <= self.floor:
            return  # so it is already; an entity may have thousands of properties
        self.floor = floor
        self.values = {
            name: known for name, known in self.values.items() if known[0] >= self.floor
        }


class View:
    """Apply frames in the order of their arrival; `entities()` is the result."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._is_snapshot = False

    def reconnect(self) -> None:
        """What the last connection left half done is over."""
        self._is_snapshot = False

    def forget(self, wanted: Callable[[str], bool]) -> None:
        """What is said of these entities from now on is all that is known of them."""
        self._known = {
            entity_id: known
            for entity_id, known in self._known.items()
            if not wanted(entity_id)
        }

    def entities(self, wanted: Callable[[str], bool] = bool) -> dict[str, Values]:
        """The properties of the entities that exist, of those that are wanted."""
        return {
            entity_id: known.properties()
            for entity_id, known in list(self._known.items())  # others may go on
            if known.exists and wanted(entity_id)
        }

    def __getitem__(self, entity_id: str) -> Values:
        return self.entities()[entity_id]

    def __contains__(self, entity_id: str) -> bool:
        return entity_id in self.entities()

    def apply(self, frame: Frame) -> None:
        kind = frame["type"]
        if kind in {"snapshot_start", "snapshot_end"}:
            self._is_snapshot = kind == "snapshot_start"
        if kind not in {"state_update", "entity_touched", "entity_deleted"}:
            return
        seq: int = frame["seq"]
        known = self._known.setdefault(frame["entity_id"], _Known())
        if kind == "entity_deleted":
            known.cut(seq + 1)
            return
        if self._is_snapshot:
            known.cut(seq)
        if seq < known.floor:
            return
        known.newest = max(known.newest, seq)
        if kind == "state_update":
            self._put(known, frame)

    def _put(self, known: _Known, frame: Frame) -> None:
        name, seq = frame["property"], frame["seq"]
        is_there = not frame.get("removed", False)
        if name not in known.values or known.values[name][0] <= seq:
            known.values[name] = (seq, frame["value"], is_there)
