"""Events folded to the newest value of each property, for who cannot take all. Pure.

Invariant: what is taken out, in the order of the log, says together with what is left
the same as all the events that were put in.
"""

from collections.abc import Iterable

from state import frames
from state.frames import DELETED, Key, Told


class Fold:
    """Frames that wait; a newer one of the same property replaces the older.

    A tombstone cuts: what its entity was before is not told. Memory is bounded by the
    distinct properties among the events. size: the bytes of what waits. dropped_from:
    the seq of the first event that something was left out of since `note_dropped`.
    """

    def __init__(self) -> None:
        # In the order of the log: who replaces an older one stands at the end.
        self._frames: dict[tuple[str, Key], tuple[int, bytes]] = {}
        self._keys: dict[str, dict[Key, None]] = {}
        self.size = 0
        self.dropped_from: int | None = None

    def __len__(self) -> int:
        """How many frames wait."""
        return len(self._frames)

    def add(self, told: Told) -> None:
        """Takes an event that is newer than all before."""
        entity_id = told.effect.entity_id
        keys = self._keys.setdefault(entity_id, {})
        for key, text in told.parts():
            self._drop(entity_id, list(keys) if key is DELETED else [key])
            self._frames[entity_id, key] = told.seq, text
            keys[key] = None
            self.size += len(text)

    def _drop(self, entity_id: str, keys: Iterable[Key]) -> None:
        known = self._keys[entity_id]
        for key in keys:
            if key in known:
                seq, text = self._frames.pop((entity_id, key))
                del known[key]
                self.size -= len(text)
                self.dropped_from = min(seq, self.dropped_from or seq)

    def note_dropped(self) -> int | None:
        """Gives `dropped_from`, and begins anew."""
        found, self.dropped_from = self.dropped_from, None
        return found

    def take(self, least_bytes: int) -> list[tuple[int, list[bytes]]]:
        """Takes out the oldest, whole events of it: (seq, texts of its frames)."""
        taken: dict[tuple[str, Key], None] = {}
        by_seq: dict[int, list[bytes]] = {}
        size = 0
        for place, (seq, text) in self._frames.items():
            if size >= least_bytes and seq not in by_seq:
                break
            by_seq.setdefault(seq, []).append(text)
            taken[place] = None
            size += len(text)
        self._forget(taken)
        self.size -= size
        return [(seq, frames.closed(parts)) for seq, parts in by_seq.items()]

    def _forget(self, places: Iterable[tuple[str, Key]]) -> None:
        for entity_id, key in places:
            del self._frames[entity_id, key]
            keys = self._keys[entity_id]
            del keys[key]
            if not keys:
                del self._keys[entity_id]
