"""Reading the state: single entities gathered into one query, lists page by page.

Invariant: a read sees every commit that was acknowledged before it began; there is no
cache to invalidate.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from msgspec import Struct
from psycopg import Connection
from psycopg.rows import TupleRow

from flux_project import pipeline
from flux_project.database import (
    BY_KEY,
    DatabaseUnavailable,
    Session,
    statement,
    strings,
)
from flux_project.errors import FluxError
from flux_project.gather import Bounds, Gatherer
from flux_project.pipeline import Statement
from state.selection import Selection
from state.store import EntityNotFound

BOUNDS = Bounds(group_items=1_000, group_bytes=16 << 20, waiting_bytes=64 << 20)
PAGE_ROWS = 1_000
PAGE_BYTES = 1 << 20

_SQL = Path(__file__).parent / "sql"
_READ = Statement.from_file(_SQL / "read.sql")
_PAGE = statement(_SQL / "page.sql")
_IDS = statement(_SQL / "ids.sql")


class Found(Struct, frozen=True, gc=False):
    """One entity: its finished JSON text, and what its ETag is made of."""

    body: bytes
    version: int
    seq: int


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of a list: entities as JSON, comma-separated, and the last id of them."""

    rows: int
    last_id: str
    body: bytes


_COLUMNS = (pipeline.text, pipeline.int8, pipeline.int8, pipeline.raw)
_session = Session(name="flux reader", extra=BY_KEY)


def find(session: Session, ids: Sequence[str]) -> dict[str, Found]:
    """The entities among `ids` that exist. Raises DatabaseUnavailable."""
    try:
        [answer] = pipeline.run(session.connection(), [(_READ, (strings(ids),))])
    except psycopg.Error as error:
        session.drop()
        raise DatabaseUnavailable from error
    found = pipeline.rows(answer, *_COLUMNS)
    return {id_: Found(body, version, seq) for id_, version, seq, body in found}


def _serve(ids: Sequence[str]) -> list[Found | FluxError]:
    found = find(_session, list(dict.fromkeys(ids)))
    return [found.get(id_) or EntityNotFound() for id_ in ids]


gatherer: Gatherer[str, Found] = Gatherer("flux-reader", _serve, BOUNDS)


def pages(
    connection: Connection[TupleRow],
    selection: Selection,
    *,
    after: str,
    upto: str | None,
) -> Iterator[Page]:
    """The entities of a selection behind the id `after`, through `upto` (None: all).

    Each page is one statement of its own, bounded in rows and bytes.
    """
    while (page := next_page(connection, selection, after=after, upto=upto)).rows:
        yield page
        after = page.last_id


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
    """The last id of a list cut to `limit`, and whether more follow; None: it is empty."""
    low, high = selection.bounds()
    rows = connection.execute(
        _IDS, (after, low, high, high, selection.is_default, limit + 1)
    ).fetchall()
    last = rows[min(limit, len(rows)) - 1][0] if rows else None
    return last, len(rows) > limit
