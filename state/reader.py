"""Reading the state: entities by id, lists page by page.

Invariant: a read sees every commit that was acknowledged before it began; there is no
cache to invalidate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct
from psycopg import Connection
from psycopg.pq.abc import PGresult
from psycopg.rows import TupleRow

from flux_project import pipeline
from flux_project.database import statement, strings
from flux_project.pipeline import Call, Statement
from state.selection import Selection
from state.store import EntityNotFound

MAX_SIZE = (1 << 31) - 1
PAGE_ROWS = 1_000
PAGE_BYTES = 1 << 20

_SQL = Path(__file__).parent / "sql"
READ = Statement.from_file(_SQL / "read.sql")
_PAGE = statement(_SQL / "page.sql")
_IDS = statement(_SQL / "ids.sql")


class Found(Struct, frozen=True, gc=False):
    """One entity: its finished JSON text, and its version as an ETag names it.

    body: None when it is too large to be read in a group.
    """

    tag: str
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of a list: entities as JSON, comma-separated, and their last id."""

    rows: int
    last_id: str
    body: bytes


def ask(ids: Sequence[str], *, most_bytes: int = MAX_SIZE) -> Call:
    """Asks for entities; the bodies of those above `most_bytes` are left out."""
    return READ, (strings(ids), pipeline.integer(most_bytes))


def found(answer: PGresult) -> dict[str, Found]:
    """By id, those that exist."""
    value = answer.get_value
    return {
        _text(value(row, 0)): Found(_text(value(row, 1)), value(row, 2))
        for row in range(answer.ntuples)
    }


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode()


def find(connection: Connection[TupleRow], entity_id: str) -> Found:
    """One entity. Raises EntityNotFound."""
    [answer] = pipeline.run(connection, [ask([entity_id])])
    entity = found(answer).get(entity_id)
    if entity is None:
        raise EntityNotFound
    return entity


def next_page(
    connection: Connection[TupleRow],
    selection: Selection,
    *,
    after: str,
    upto: str | None,
) -> Page:
    """The page that begins behind the id `after`; 0 rows at the end of the list."""
    low, high = selection.bounds()
    row = connection.execute(
        _PAGE,
        (
            after,
            low,
            high,
            high,
            upto,
            upto,
            selection.is_default,
            PAGE_ROWS,
            PAGE_BYTES,
        ),
        binary=True,
    ).fetchone()
    if row is None or not row[0]:
        return Page(0, after, b"")
    return Page(*row)


def last_of(
    connection: Connection[TupleRow], selection: Selection, *, after: str, limit: int
) -> tuple[str | None, bool]:
    """The last id of a list cut to `limit` (None: empty), and whether more follow."""
    low, high = selection.bounds()
    rows = connection.execute(
        _IDS, (after, low, high, high, selection.is_default, limit + 1)
    ).fetchall()
    last = rows[min(limit, len(rows)) - 1][0] if rows else None
    return last, len(rows) > limit
