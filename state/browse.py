"""The state for people to look through: pages of entities, and one entity whole.

Invariant: each query reads a bounded stretch of the primary key, however many entities
there are, and takes of the properties no more than is shown.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from psycopg import Connection
from psycopg.rows import TupleRow

from flux_project.database import statement
from namespaces import names
from state.selection import Selection

PAGE_ROWS = 50
PREVIEW_CHARACTERS = 160
PREVIEW_BYTES = 64 << 10
SHOWN_CHARACTERS = 64 << 10

_SQL = Path(__file__).parent / "sql"
_PAGE = statement(_SQL / "browse.sql")
_ONE = statement(_SQL / "browse_one.sql")
# Above every id. An upper bound that is always there lets every plan use the index.
_BEYOND = "\U0010ffff" * (names.MAX_ID_CHARACTERS + 1)

Session = Connection[TupleRow]


@dataclass(frozen=True, slots=True)
class Row:
    """An entity in a list. preview: its first properties; None: it is too large."""

    id: str
    version: int
    seq: int
    updated_at: datetime
    size: int
    preview: str | None

    @property
    def is_cut(self) -> bool:
        return self.preview is not None and len(self.preview.encode()) < self.size


@dataclass(frozen=True, slots=True)
class Page:
    """Entities in the order of their ids.

    after: the next page lies behind this id; before: the page before lies ahead of this
    one. None when there is no such page.
    """

    rows: list[Row]
    after: str | None
    before: str | None


@dataclass(frozen=True, slots=True)
class Whole:
    """An entity as it is now; the beginning of its properties if they are `is_cut`."""

    id: str
    namespace: str
    version: int
    seq: int
    updated_at: datetime
    size: int
    properties: str

    @property
    def is_cut(self) -> bool:
        return len(self.properties) > SHOWN_CHARACTERS

    @property
    def shown(self) -> str:
        return self.properties[:SHOWN_CHARACTERS]


def page(
    connection: Session,
    *,
    prefix: str = "",
    after: str = "",
    before: str | None = None,
    limit: int = PAGE_ROWS,
) -> Page:
    """Entities whose id starts with `prefix`, behind `after` or ahead of `before`."""
    low, high = Selection(prefix=prefix).bounds()
    if before is not None:
        after = ""
        low = _start_ahead(connection, low, before, limit)
    cursor = connection.execute(
        _PAGE,
        (PREVIEW_BYTES, PREVIEW_CHARACTERS, after, low, high or _BEYOND, limit + 1),
    )
    found = [Row(*row) for row in cursor]
    rows = found[:limit]
    is_first = not after and (before is None or low == prefix)
    return Page(
        rows,
        after=rows[-1].id if len(found) > limit else None,
        before=rows[0].id if rows and not is_first else None,
    )


def _start_ahead(connection: Session, low: str, before: str, limit: int) -> str:
    """Where a page that ends ahead of `before` begins; `low` when that is the first."""
    rows = connection.execute(
        "SELECT id FROM state_entity WHERE id >= %s AND id < %s"
        " ORDER BY id DESC LIMIT %s",
        (low, before, limit + 1),
    ).fetchall()
    return rows[-2][0] if len(rows) > limit else low


def one(connection: Session, entity_id: str) -> Whole | None:
    """The entity; None when there is none now."""
    row = connection.execute(_ONE, (SHOWN_CHARACTERS + 1, entity_id)).fetchone()
    return Whole(*row) if row else None
