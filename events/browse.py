"""The log for people to look through: pages of events, and one event whole.

Invariant: each query reads a bounded stretch of an index, whatever the log's length,
and takes of a payload no more than is shown.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from flux_project.database import statement

PAGE_ROWS = 100
PREVIEW_CHARACTERS = 160
SHOWN_CHARACTERS = 64 << 10

_SQL = Path(__file__).parent / "sql"
_PAGE = statement(_SQL / "browse.sql")
_PAGE_OF_ENTITY = statement(_SQL / "browse_entity.sql")
_ONE = statement(_SQL / "browse_one.sql")
_BEYOND = (1 << 63) - 1

Session = Connection[TupleRow]


@dataclass(frozen=True, slots=True)
class Row:
    """An event in a list. size: bytes of its payload; preview: its first characters."""

    seq: int
    stream: str
    source: str
    entity_id: str
    recorded_at: datetime
    size: int
    preview: str

    @property
    def is_cut(self) -> bool:
        return len(self.preview.encode()) < self.size


@dataclass(frozen=True, slots=True)
class Page:
    """Events, newest first.

    older: the next page lies below this seq; newer: the page before lies above this
    one. None when there is no such page.
    """

    rows: list[Row]
    older: int | None
    newer: int | None


@dataclass(frozen=True, slots=True)
class Whole:
    """Everything stored of an event; the payload's beginning if it `is_cut`."""

    seq: int
    event_id: str
    stream: str
    source: str
    key: str | None
    schema: str | None
    namespace: str
    entity_id: str
    token: str | None
    occurred_at: int
    occurred: str
    recorded_at: datetime
    size: int
    payload: str

    @property
    def is_cut(self) -> bool:
        return len(self.payload) > SHOWN_CHARACTERS

    @property
    def shown(self) -> str:
        """The payload indented, its keys, numbers and escapes in their very text."""
        if self.is_cut:
            return self.payload[:SHOWN_CHARACTERS]
        return msgspec.json.format(self.payload, indent=2)


def page(
    connection: Session,
    *,
    entity_id: str | None = None,
    before: int | None = None,
    after: int | None = None,
    limit: int = PAGE_ROWS,
) -> Page:
    """The newest events below `before`, or the oldest above `after`, or the newest."""
    if after is not None:
        before = _end_above(connection, entity_id, after, limit)
    if entity_id is None:
        within: tuple[object, ...] = (before or _BEYOND, limit + 1)
        cursor = connection.execute(_PAGE, (PREVIEW_CHARACTERS, *within))
    else:
        within = (entity_id, before or _BEYOND, limit + 1)
        cursor = connection.execute(_PAGE_OF_ENTITY, (PREVIEW_CHARACTERS, *within))
    found = [Row(*row) for row in cursor]
    rows = found[:limit]
    older = rows[-1].seq if len(found) > limit else None
    return Page(rows, older, rows[0].seq if rows and before is not None else None)


def _end_above(
    connection: Session, entity_id: str | None, after: int, limit: int
) -> int | None:
    """Where a page that begins above `after` ends; None when it reaches the newest."""
    if entity_id is None:
        rows = connection.execute(
            "SELECT seq FROM events_event WHERE seq > %s ORDER BY seq LIMIT %s",
            (after, limit + 1),
        ).fetchall()
    else:
        rows = connection.execute(
            "SELECT seq FROM events_event WHERE entity_id = %s AND seq > %s"
            " ORDER BY seq LIMIT %s",
            (entity_id, after, limit + 1),
        ).fetchall()
    return rows[-1][0] if len(rows) > limit else None


def one(connection: Session, seq: int) -> Whole | None:
    """The event at `seq`; None when the log has none there."""
    row = connection.execute(_ONE, (SHOWN_CHARACTERS + 1, seq)).fetchone()
    return Whole(*row) if row else None
