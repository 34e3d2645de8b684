"""The log → the state, anew: entity after entity, each from its first event (§2).

Invariant: nothing here looks at the stored state. Each entity's events are folded by
`merge` alone over its whole history, whatever groups they were committed in; so the
result is an oracle for `group`, `store` and their SQL.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Raw, Struct
from psycopg import Connection, sql
from psycopg.rows import TupleRow

from events import audit, envelope
from events.audit import StoredEvent
from flux_project.database import statement
from namespaces import names
from state.merge import Change

_TALLY = sql.SQL(statement(Path(__file__).parent / "sql" / "tally.sql"))


class Effect(Struct, frozen=True, gc=False):
    """What an event of the log does to its entity."""

    properties: bytes
    unset: tuple[str, ...]
    is_tombstone: bool


class Derived(Struct, frozen=True, gc=False):
    """An entity as the log says it is; `properties` is JSON, not yet PostgreSQL's."""

    id: str
    namespace: str
    properties: bytes
    version: int
    seq: int
    updated_at: datetime


class _Payload(Struct, gc=False):
    properties: Raw
    unset: tuple[str, ...] = ()


_payload = msgspec.json.Decoder(_Payload)


def effect_of(payload: bytes) -> Effect:
    """What a stored payload does; decoded whole, with no shortcuts of `envelope`."""
    decoded = _payload.decode(payload)
    text = bytes(decoded.properties)
    tombstone = envelope.properties_of(text).get(envelope.TOMBSTONE)
    is_tombstone = tombstone is not None and bytes(tombstone) == b"true"
    return Effect(text, decoded.unset, is_tombstone)


class Tally:
    """What events up to the seq `head` do to the counters.

    moves: by namespace, how many entities more or fewer, and the time of the last event
    that made a difference there.
    """

    def __init__(self, head: int) -> None:
        self.moves: dict[str, tuple[int, datetime]] = {}
        self._head = head

    def apply(self, change: Change, event: StoredEvent) -> None:
        """Folds an event into its entity, and counts what that did."""
        before = change.exists
        change.apply(effect_of(event.payload), event.seq)
        if event.seq <= self._head and (before or change.exists):
            count, last = self.moves.get(change.namespace, (0, event.recorded_at))
            count += change.exists - before
            self.moves[change.namespace] = (count, max(last, event.recorded_at))

    def store(self, connection: Connection[TupleRow], *, into: sql.Composable) -> None:
        """Moves the counters of the table `into`, and begins anew."""
        if not self.moves:
            return
        counts, times = zip(*self.moves.values(), strict=True)
        connection.execute(
            _TALLY.format(into), (list(self.moves), list(counts), list(times))
        )
        self.moves = {}


class Page(Struct, frozen=True, gc=False):
    """All entities whose id is at least `start` and below `end` (None: the last page).

    events: how many were read for it; `counted` of them stand in the log up to head.
    """

    start: str
    end: str | None
    entities: list[Derived]
    events: int
    counted: int


class Replay:
    """One pass over the log, page by page; `tally` counts up to the seq `head`.

    is_bounded: events above `head` are left out. Otherwise a page holds its entities as
    of the snapshot in which `next_page` read it.
    """

    def __init__(self, *, head: int, is_bounded: bool) -> None:
        self.tally = Tally(head)
        self._head = head
        self._upto = head if is_bounded else audit.END
        self._after = ("", 0)
        self._change: Change | None = None
        self._updated_at: datetime | None = None

    def pages(self, connection: Connection[TupleRow]) -> Iterator[Page]:
        """The whole pass; the caller may wrap each step into a transaction."""
        while (page := self.next_page(connection)).end is not None:
            yield page
        yield page

    def next_page(self, connection: Connection[TupleRow]) -> Page:
        """Reads on. An entity whose end was not seen yet is left for the next page."""
        start = self._change.entity_id if self._change else ""
        events = audit.by_entity(connection, after=self._after, upto=self._upto)
        entities = list(self._fold(events))
        if not events:
            entities.extend(self._close())
        end = self._change.entity_id if events and self._change else None
        counted = sum(event.seq <= self._head for event in events)
        return Page(start, end, entities, len(events), counted)

    def _fold(self, events: Iterable[StoredEvent]) -> Iterator[Derived]:
        for event in events:
            change = self._change
            if change is None or change.entity_id != event.entity_id:
                yield from self._close()
                namespace = names.namespace_of(event.entity_id)
                change = self._change = Change(event.entity_id, namespace)
            self.tally.apply(change, event)
            self._updated_at = event.recorded_at
            self._after = (event.entity_id, event.seq)

    def _close(self) -> Iterator[Derived]:
        """The entity that was being folded, if it exists in the end."""
        change, self._change = self._change, None
        if change is not None and change.exists and self._updated_at:
            yield Derived(
                change.entity_id,
                change.namespace,
                change.set_text,
                change.version,
                change.seq,
                self._updated_at,
            )
