"""Reading the whole log, for who checks it or derives from it anew.

Invariant: every statement is bounded in rows and bytes and pages by key, so a log of
any length is read at constant memory while the server goes on writing.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct
from psycopg import Connection
from psycopg.rows import TupleRow

from flux_project.database import statement

ROWS = 2_000
BYTES = 4 << 20
CHECKED_ROWS = 10_000
END = (1 << 63) - 1

_SQL = Path(__file__).parent / "sql"
_BY_ENTITY = statement(_SQL / "audit_by_entity.sql")
_BY_SEQ = statement(_SQL / "audit_by_seq.sql")
_ORDER = statement(_SQL / "audit_order.sql")
_KNOWN = statement(_SQL / "audit_known.sql")

Session = Connection[TupleRow]


class StoredEvent(Struct, frozen=True, gc=False):
    """What deriving the state needs of an event of the log."""

    entity_id: str
    seq: int
    recorded_at: datetime
    payload: bytes


class Fault(Struct, frozen=True, gc=False):
    """Something in the log is not as it must be: where, what, both values."""

    seq: int
    what: str
    expected: str | None
    stored: str | None


class Checked(Struct, frozen=True, gc=False):
    """A stretch that was looked at: its rows, where it ended, and its faults.

    fault_count counts all of them; `faults` holds the first.
    """

    rows: int
    last: int | bytes
    fault_count: int
    faults: Sequence[Fault] = ()


def head(connection: Session) -> int:
    """The last seq; 0 for an empty log."""
    row = connection.execute("SELECT max(seq) FROM events_event").fetchone()
    return (row and row[0]) or 0


def by_entity(
    connection: Session, *, after: tuple[str, int], upto: int = END
) -> list[StoredEvent]:
    """The events behind `after` in the order (entity id, seq), through seq `upto`."""
    rows = connection.execute(_BY_ENTITY, (*after, upto, ROWS, BYTES), binary=True)
    return [StoredEvent(*row) for row in rows]


def by_seq(connection: Session, *, after: int, upto: int = END) -> list[StoredEvent]:
    """The events behind seq `after` in log order, through `upto`."""
    rows = connection.execute(_BY_SEQ, (after, upto, ROWS, BYTES), binary=True)
    return [StoredEvent(*row) for row in rows]


def check_order(
    connection: Session, *, after: int, upto: int, first: int
) -> Checked | None:
    """Looks at the stretch behind `after`; None at the end. first: faults to name."""
    bounds = (after, upto, CHECKED_ROWS, after, after, after, first)
    return _checked(connection.execute(_ORDER, bounds).fetchone())


def check_known(connection: Session, *, after: bytes, first: int) -> Checked | None:
    """Looks at the known ids behind the digest `after`; None when there are no more."""
    return _checked(connection.execute(_KNOWN, (after, CHECKED_ROWS, first)).fetchone())


def _checked(row: TupleRow | None) -> Checked | None:
    if row is None or not row[0]:
        return None
    rows, last, fault_count, faults = row
    return Checked(rows, last, fault_count, [Fault(**fault) for fault in faults or ()])
