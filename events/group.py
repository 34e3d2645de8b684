"""One group of commands while it is decided: what it will append and change.

Invariant: a command sees the effect of those before it in the group, and a refused one
leaves no trace here (no seq, no claimed id, no change).
"""

from collections.abc import Iterable, Iterator, Sequence

from psycopg import Connection
from psycopg.rows import TupleRow

from events import envelope, log
from events.commands import (
    Append,
    Command,
    Delete,
    Deleted,
    DeleteMatching,
    Outcome,
    Stored,
)
from events.envelope import Event
from events.log import Head
from flux_project.errors import Invalid, TooLarge
from flux_project.pipeline import Call
from state import store
from state.merge import Change
from state.selection import Selection
from state.store import EntityNotFound

MAX_ENTITY_BYTES = 4 << 20
MAX_ENTITY_PROPERTIES = 20_000
# A property takes at least 7 bytes of text form (`"": 1, `), so an entity below this
# bound holds fewer than 20,000 of them, and needs no closer look.
_SURELY_FITS_BYTES = 7 * MAX_ENTITY_PROPERTIES


class EntityTooLarge(TooLarge):
    """An entity holds at most 20,000 properties and 4 MiB."""

    code = "entity_too_large"


class TooManyMatches(Invalid):
    """This deletes more entities than one request may."""

    code = "too_many_matches"


class Group:
    """The commands' common working set, from the head of the log onwards."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.outcomes: list[Outcome] = []
        self._changes: dict[str, Change] = {}
        self._touched: dict[str, int] = {}

    def start(
        self,
        head: Head,
        *,
        known: dict[bytes, tuple[int, str] | None],
        standing: dict[str, tuple[int, int]],
    ) -> None:
        """Takes what was read, as `log` and `store` give it; adds to what is known."""
        self.first_seq = head.seq + 1
        self._known = known
        self._standing = standing

    def decide(self, connection: Connection[TupleRow], command: Command) -> Outcome:
        """What becomes of a command; its events and changes join the group."""
        if isinstance(command, Append):
            outcome = self._append(connection, command.event)
        elif isinstance(command, Delete):
            outcome = self._delete(command.entity_id)
        else:
            outcome = self._delete_matching(connection, command)
        self.outcomes.append(outcome)
        return outcome

    def _append(self, connection: Connection[TupleRow], event: Event) -> Outcome:
        digest = event.digest
        stored = self._known.get(digest) if digest is not None else None
        if stored is not None:
            seq, stream = stored
            return Stored(event.event_id, stream, seq, is_duplicate=True)
        change = self._change(event.entity_id, event.namespace)
        if not event.is_tombstone and not self._fits(connection, change, event):
            return EntityTooLarge()
        return self._take(change, event)

    def _take(self, change: Change, event: Event) -> Stored:
        seq = self.first_seq + len(self.events)
        self.events.append(event)
        if event.digest is not None:
            self._known[event.digest] = (seq, event.stream)
        before = change.exists
        change.apply(event, seq)
        if before or change.exists:
            delta = change.exists - before
            self._touched[event.namespace] = (
                self._touched.get(event.namespace, 0) + delta
            )
        return Stored(event.event_id, event.stream, seq)

    def _change(self, entity_id: str, namespace: str) -> Change:
        change = self._changes.get(entity_id)
        if change is None:
            version, size = self._standing.get(entity_id, (0, 0))
            change = Change(entity_id, namespace, version=version, size=size)
            self._changes[entity_id] = change
        return change

    def _fits(
        self, connection: Connection[TupleRow], change: Change, event: Event
    ) -> bool:
        """Whether the entity stays within its limits; asks the database if in doubt."""
        bound = change.size_bound + event.size
        if bound <= _SURELY_FITS_BYTES:
            change.size_bound = bound
            return True
        trial = change.copy()
        trial.apply(event, 0)
        size, properties = store.measure(connection, trial)
        if size > MAX_ENTITY_BYTES or properties > MAX_ENTITY_PROPERTIES:
            return False
        change.size_bound = size
        return True

    def decide_plain(self, commands: Sequence[Command]) -> list[Outcome] | None:
        """The same for a whole request, when nothing of the database is needed for it.

        That is so for events of entities whose standing is here and whose limits are
        far, with ids of ours, or of clients when it is here whether they are known.
        None, and nothing changed, when one of the commands needs more.
        """
        events: list[Event] = []
        bounds: dict[str, int] = {}
        for command in commands:
            if not isinstance(command, Append):
                return None
            event = command.event
            events.append(event)
            if event.digest is not None and event.digest not in self._known:
                return None
            id_ = event.entity_id
            bound = bounds.get(id_, -1)
            if bound < 0:
                bound = self._size_bound(id_)
            bounds[id_] = bound + event.size
            if bound < 0 or bound + event.size > _SURELY_FITS_BYTES:
                return None
        outcomes = [self._append_plain(event) for event in events]
        self.outcomes += outcomes
        return outcomes

    def _append_plain(self, event: Event) -> Outcome:
        if event.digest is not None:
            stored = self._known.get(event.digest)
            if stored is not None:
                return Stored(event.event_id, stored[1], stored[0], is_duplicate=True)
        change = self._change(event.entity_id, event.namespace)
        change.size_bound += event.size
        return self._take(change, event)

    def _size_bound(self, entity_id: str) -> int:
        """So many bytes an entity has at most; -1 when that is not known."""
        change = self._changes.get(entity_id)
        if change is not None:
            return change.size_bound
        standing = self._standing.get(entity_id)
        return -1 if standing is None else standing[1]

    def effect(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """How the group leaves its entities: (version, size at most) by id."""
        for id_, change in self._changes.items():
            yield id_, (change.version, change.size_bound) if change.exists else (0, 0)

    def _delete(self, entity_id: str) -> Outcome:
        event = envelope.tombstone(entity_id)
        change = self._change(entity_id, event.namespace)
        return self._take(change, event) if change.exists else EntityNotFound()

    def _delete_matching(
        self, connection: Connection[TupleRow], command: DeleteMatching
    ) -> Outcome:
        selection = command.selection
        missing: list[str] = []
        if selection.ids is not None:
            matches, missing = self._split(selection.ids)
        else:
            matches = self._find(connection, selection, command.limit)
        if len(matches) > command.limit:
            message = (
                f"This matches more than {command.limit} entities, the most that one"
                " request deletes; nothing was deleted. Narrow it down."
            )
            return TooManyMatches(message)
        for entity_id in matches:
            event = envelope.tombstone(entity_id)
            self._take(self._change(entity_id, event.namespace), event)
        return Deleted(len(matches), tuple(missing))

    def _split(self, ids: Iterable[str]) -> tuple[list[str], list[str]]:
        matches: list[str] = []
        missing: list[str] = []
        for entity_id in ids:
            change = self._changes.get(entity_id)
            exists = change.exists if change else entity_id in self._standing
            (matches if exists else missing).append(entity_id)
        return matches, missing

    def _find(
        self, connection: Connection[TupleRow], selection: Selection, limit: int
    ) -> list[str]:
        """The ids that match now: as stored, corrected by what the group did."""
        gone = {id_ for id_, change in self._changes.items() if not change.exists}
        stored = store.matching(connection, selection, limit=limit + len(gone) + 1)
        found = dict.fromkeys(id_ for id_ in stored if id_ not in gone)
        for id_ in found:
            self._standing.setdefault(id_, (1, 0))
        for id_, change in self._changes.items():
            if change.exists and selection.matches(id_):
                found[id_] = None
        return sorted(found)

    def writes(self) -> list[Call]:
        """What writes the group: its events, their effect, and the counters."""
        if not self.events:
            return []
        calls = log.append(self.events, first_seq=self.first_seq)
        # An entity that the group made and deleted again was never there.
        changes = [
            change
            for change in self._changes.values()
            if change.seq and (change.existed or change.exists)
        ]
        calls += store.apply(changes, self.first_seq)
        if self._touched:
            calls.append(store.count(self._touched, self.first_seq))
        return calls
