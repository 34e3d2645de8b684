"""The stored state: one row an entity, one counter a namespace.

Invariant: only `apply` and `count` write here, in the transaction that appends the
events they come from; so a reader sees an event and its effect, or neither.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from psycopg import Connection, Cursor
from psycopg.rows import TupleRow

from flux_project.database import Bigints, Bools, Texts, statement
from flux_project.errors import NotFound
from state.merge import Change
from state.selection import Selection

CHANGES_PER_STATEMENT = 1_000

_SQL = Path(__file__).parent / "sql"
_MERGE = statement(_SQL / "merge.sql")
_COUNT = statement(_SQL / "count.sql")
_MEASURE = statement(_SQL / "measure.sql")
_MATCHING = statement(_SQL / "matching.sql")

_encode = msgspec.json.Encoder().encode

Session = Connection[TupleRow]


class EntityNotFound(NotFound):
    """Entity not found"""

    code = "entity_not_found"


def ask_standing(connection: Session, ids: Sequence[str]) -> Cursor[TupleRow]:
    """How these entities stand: rows of (id, version, size); missing ones give none."""
    return connection.execute(
        "SELECT id, version, size FROM state_entity WHERE id = ANY(%s::text[])",
        (Texts.of(ids),),
        binary=True,
    )


def apply(connection: Session, changes: Sequence[Change], at: datetime) -> None:
    """Brings the changed entities to their new state, `at` being the commit's time."""
    for start in range(0, len(changes), CHANGES_PER_STATEMENT):
        part = changes[start : start + CHANGES_PER_STATEMENT]
        connection.execute(
            _MERGE,
            (
                Texts.of(change.entity_id for change in part),
                Texts.of(change.namespace for change in part),
                Bools([change.exists for change in part]),
                Bools([change.restarts for change in part]),
                Texts([_list_or_null(change.unset) for change in part]),
                Texts([change.set_text for change in part]),
                Bigints([change.version for change in part]),
                Bigints([change.seq for change in part]),
                at,
                at,
            ),
        )


def _list_or_null(keys: set[str]) -> bytes | None:
    return _encode(sorted(keys)) if keys else None


def count(connection: Session, deltas: Mapping[str, int], at: datetime) -> None:
    """Moves the counters of namespaces; a delta of 0 still marks the update."""
    connection.execute(_COUNT, (at, Texts.of(deltas), Bigints(list(deltas.values()))))


def measure(connection: Session, change: Change) -> tuple[int, int]:
    """(bytes of text form, number of properties) of an entity after `change`."""
    row = connection.execute(
        _MEASURE,
        (
            change.entity_id,
            change.restarts,
            list(change.unset),
            change.set_text.decode(),
        ),
    ).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def matching(connection: Session, selection: Selection, *, limit: int) -> list[str]:
    """Up to `limit` ids that a selection by namespace or prefix matches, in order.

    The server's own entities are never among them: nobody deletes those (§3).
    """
    low, high = selection.bounds()
    rows = connection.execute(_MATCHING, (low, high, high, selection.is_default, limit))
    return [row[0] for row in rows]
