"""The stored state: one row an entity, one counter a namespace.

Invariant: only `apply` and `count` write here, in the transaction that appends the
events they come from; so a reader sees an event and its effect, or neither.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from psycopg import Connection
from psycopg.pq.abc import PGresult
from psycopg.rows import TupleRow

from flux_project import pipeline
from flux_project.database import bigints, bools, names, statement, strings, texts
from flux_project.errors import NotFound
from flux_project.pipeline import Call, Statement
from state.merge import Change
from state.selection import Selection

CHANGES_PER_STATEMENT = 1_000

_SQL = Path(__file__).parent / "sql"
_STANDING = Statement.from_file(_SQL / "standing.sql")
_MERGE = Statement.from_file(_SQL / "merge.sql")
_COUNT = Statement.from_file(_SQL / "count.sql")
_MEASURE = statement(_SQL / "measure.sql")
_MATCHING = statement(_SQL / "matching.sql")

# The statements of the hot path, to be prepared before their first use.
STATEMENTS = (_STANDING, _MERGE, _COUNT)

_encode = msgspec.json.Encoder().encode

Session = Connection[TupleRow]


class EntityNotFound(NotFound):
    """Entity not found"""

    code = "entity_not_found"


def ask_standing(ids: Sequence[str]) -> Call:
    """Asks how these entities stand; `standing` reads the answer."""
    return _STANDING, (strings(ids),)


def standing(answer: PGresult) -> dict[str, tuple[int, int]]:
    """By id, the (version, size) of each entity that exists."""
    found = pipeline.rows(answer, pipeline.text, pipeline.int8, pipeline.int4)
    return {id_: (version, size) for id_, version, size in found}


def apply(changes: Sequence[Change], at_seq: int) -> list[Call]:
    """What brings the entities to their new state, at the time of the event at_seq."""
    calls: list[Call] = []
    for start in range(0, len(changes), CHANGES_PER_STATEMENT):
        part = changes[start : start + CHANGES_PER_STATEMENT]
        parameters = (
            names([change.entity_id for change in part]),
            names([change.namespace for change in part]),
            bools([change.exists for change in part]),
            bools([change.restarts for change in part]),
            texts([_list_or_null(change.unset) for change in part]),
            texts([change.set_text for change in part]),
            bigints([change.version for change in part]),
            bigints([change.seq for change in part]),
            pipeline.bigint(at_seq),
        )
        calls.append((_MERGE, parameters))
    return calls


def _list_or_null(keys: frozenset[str]) -> bytes | None:
    return _encode(sorted(keys)) if keys else None


def count(deltas: Mapping[str, int], at_seq: int) -> Call:
    """What moves the counters of namespaces; a delta of 0 still marks the update."""
    parameters = (strings(deltas), bigints(list(deltas.values())))
    return _COUNT, (pipeline.bigint(at_seq), *parameters)


def entity_count(connection: Session, namespace: str) -> int:
    """How many entities a namespace has."""
    row = connection.execute(
        "SELECT entities FROM state_count WHERE namespace = %s", (namespace,)
    ).fetchone()
    return row[0] if row else 0


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
