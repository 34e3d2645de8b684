"""One group of commands while it is decided: what it will append and change.

Invariant: a command sees the effect of those before it in the group, and a refused one
leaves no trace here (no seq, no claimed id, no change).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from psycopg import Connection
from psycopg.pq.abc import PGresult
from psycopg.rows import TupleRow

from events import envelope, log, recheck
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
from flux_project.errors import FluxError, Invalid, TooLarge
from flux_project.pipeline import Call
from namespaces import limits
from namespaces.bucket import Level
from namespaces.grants import Grant
from namespaces.ledger import Ledger
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
        self._tokens: list[str | None] = []
        self._changes: dict[str, Change] = {}
        self._touched: dict[str, int] = {}

    def start(
        self,
        head: Head,
        *,
        known: dict[bytes, tuple[int, str] | None],
        standing: dict[str, tuple[int, int]],
        ledger: Ledger,
    ) -> None:
        """Takes what was read, as `log` and `store` give it; adds to what is known."""
        self.first_seq = head.seq + 1
        self.ledger = ledger
        self._registry_version = head.registry_version
        self._known = known
        self._standing = standing

    def decide(self, connection: Connection[TupleRow], command: Command) -> Outcome:
        """What becomes of a command; its events and changes join the group.

        The registry is as new as the head that the group began with, or newer.
        """
        grant = command.grant
        outcome: Outcome | None = None
        if grant is not None:
            outcome = recheck.refusal(command, grant)
        if outcome is None:
            outcome = self._decide(connection, command)
        self.outcomes.append(outcome)
        return outcome

    def _decide(self, connection: Connection[TupleRow], command: Command) -> Outcome:
        if isinstance(command, Append):
            return self._append(connection, command)
        if isinstance(command, Delete):
            return self._delete(command)
        return self._delete_matching(connection, command)

    def _append(self, connection: Connection[TupleRow], command: Append) -> Outcome:
        event = command.event
        digest = event.digest
        stored = self._known.get(digest) if digest is not None else None
        if stored is not None:
            seq, stream = stored
            return Stored(event.event_id, stream, seq, is_duplicate=True)
        change = self._change(event.entity_id, event.namespace)
        if not event.is_tombstone and not self._fits(connection, change, event):
            return EntityTooLarge()
        return self._overdrawn(command.grant) or self._take(
            change, event, command.grant
        )

    def _overdrawn(self, grant: Grant | None, events: int = 1) -> FluxError | None:
        """Spends for so many events of a token's namespace, or says why it may not."""
        return None if grant is None else self.ledger.take(grant.namespace, events)

    def _take(self, change: Change, event: Event, grant: Grant | None) -> Stored:
        seq = self.first_seq + len(self.events)
        self.events.append(event)
        self._tokens.append(None if grant is None else grant.token_id)
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
        far, with ids of ours, or of clients when it is here whether they are known, by
        tokens that hold and whose namespaces' buckets are here. None, and nothing
        changed, when one of the commands needs more.
        """
        appends: list[Append] = []
        bounds: dict[str, int] = {}
        checked: Grant | None = None
        for command in commands:
            if not isinstance(command, Append):
                return None
            event, grant = command.event, command.grant
            appends.append(command)
            if event.digest is not None and event.digest not in self._known:
                return None
            if grant is not checked:
                if grant is not None and not self._holds(grant):
                    return None
                checked = grant
            id_ = event.entity_id
            bound = bounds.get(id_, -1)
            if bound < 0:
                bound = self._size_bound(id_)
            bounds[id_] = bound + event.size
            if bound < 0 or bound + event.size > _SURELY_FITS_BYTES:
                return None
        outcomes = [self._append_plain(command) for command in appends]
        self.outcomes += outcomes
        return outcomes

    def _holds(self, grant: Grant) -> bool:
        """Whether a token is known to hold at the head, and what it may still write."""
        holds = recheck.holds(grant, version=self._registry_version)
        return holds and self.ledger.knows(grant.namespace)

    def _append_plain(self, command: Append) -> Outcome:
        event, grant = command.event, command.grant
        if event.digest is not None:
            stored = self._known.get(event.digest)
            if stored is not None:
                return Stored(event.event_id, stored[1], stored[0], is_duplicate=True)
        if grant is not None:
            refused = self.ledger.take(grant.namespace, 1)
            if refused is not None:
                return refused
        change = self._change(event.entity_id, event.namespace)
        change.size_bound += event.size
        return self._take(change, event, grant)

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

    def _delete(self, command: Delete) -> Outcome:
        event = envelope.tombstone(command.entity_id)
        change = self._change(command.entity_id, event.namespace)
        if not change.exists:
            return EntityNotFound()
        return self._overdrawn(command.grant) or self._take(
            change, event, command.grant
        )

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
        refused = self._overdrawn(command.grant, len(matches)) if matches else None
        if refused is not None:
            return refused
        for entity_id in matches:
            event = envelope.tombstone(entity_id)
            change = self._change(entity_id, event.namespace)
            self._take(change, event, command.grant)
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

    def writes(self, *, is_guess: bool = False) -> list[Call]:
        """What writes the group: its events, their effect, the counters, and last of
        all, if it spends anything, what it spends.

        is_guess: it was decided before the lock was held, by another clock than the
        database's.
        """
        if not self.events:
            return []
        calls = log.append(self.events, self._tokens, first_seq=self.first_seq)
        # An entity that the group made and deleted again was never there.
        changes = [
            change
            for change in self._changes.values()
            if change.seq and (change.existed or change.exists)
        ]
        calls += store.apply(changes, self.first_seq)
        if self._touched:
            calls.append(store.count(self._touched, self.first_seq))
        spending = self.ledger.call(is_checked=is_guess)
        return calls if spending is None else [*calls, spending]

    def spent(self, answers: Sequence[PGresult]) -> Mapping[str, Level]:
        """What its namespaces have spent, by the answers to `writes` when it spends."""
        return limits.spent(answers[-1]) if self.ledger.spends else {}
