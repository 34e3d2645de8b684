"""Reading the log: pages of stored events, newest first (contract §3).

Invariant: no request scans the whole log. A page looks at WINDOW events at most; when
filters match rarely it may be short or empty, and says where to go on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from psycopg import Connection
from psycopg.rows import TupleRow

from flux_project.database import statement

WINDOW = 10_000
CHUNK_BYTES = 1 << 20

_SQL = Path(__file__).parent / "sql"
_BISECT = statement(_SQL / "bisect.sql")
_MATCH = statement(_SQL / "match.sql")
_MATCH_ENTITY = statement(_SQL / "match_entity.sql")
_FLOOR = statement(_SQL / "floor.sql")
_FLOOR_ENTITY = statement(_SQL / "floor_entity.sql")
_BODIES = statement(_SQL / "bodies.sql")

Session = Connection[TupleRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which events; None asks for any.

    since (inclusive), until (exclusive): by the time the server recorded them.
    before: only events below this seq.
    """

    entity_id: str | None = None
    stream: str | None = None
    source: str | None = None
    namespace: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Found:
    """A page: (seq, bytes of payload) of its events, newest first.

    next_before: continue below this seq; None when nothing older remains.
    """

    events: list[tuple[int, int]]
    next_before: int | None


def find(connection: Session, query: Query) -> Found:
    """The page that a query asks for, without the payloads."""
    low = _first_since(connection, query.since) if query.since else 1
    high = _first_since(connection, query.until) if query.until else None
    if query.before is not None:
        high = min(query.before, high or query.before)
    high = high if high is not None else _BEYOND
    rows = _matches(connection, query, low, high)
    if len(rows) > query.limit:
        return Found(rows[: query.limit], rows[query.limit - 1][0])
    return Found(rows, _floor(connection, query, low, high))


_BEYOND = (1 << 63) - 1


def _matches(
    connection: Session, query: Query, low: int, high: int
) -> list[tuple[int, int]]:
    filters = (
        query.stream, query.stream, query.source, query.source,
        query.namespace, query.namespace, query.limit + 1,
    )  # fmt: skip
    if query.entity_id is None:
        cursor = connection.execute(_MATCH, (low, high, WINDOW, *filters))
    else:
        within = (query.entity_id, low, high, WINDOW)
        cursor = connection.execute(_MATCH_ENTITY, (*within, *filters))
    return [(seq, size) for seq, size in cursor]


def _floor(connection: Session, query: Query, low: int, high: int) -> int | None:
    """Where the window of a page ended, if older events lie below it."""
    if query.entity_id is None:
        cursor = connection.execute(_FLOOR, (low, high, WINDOW))
    else:
        cursor = connection.execute(_FLOOR_ENTITY, (query.entity_id, low, high, WINDOW))
    row = cursor.fetchone()
    return row[0] + 1 if row else None


def _first_since(connection: Session, moment: datetime) -> int:
    """The first seq recorded at `moment` or later; behind the head when there is none.

    The recorded times never run backwards along seq, so bisecting finds it.
    """
    row = connection.execute(_BISECT, (moment, moment)).fetchone()
    return row[0] if row else 1


def chunks(found: Found) -> Iterator[list[int]]:
    """The page's seqs in stretches whose payloads make about CHUNK_BYTES."""
    chunk: list[int] = []
    size = 0
    for seq, payload_size in found.events:
        chunk.append(seq)
        size += payload_size
        if size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def body(connection: Session, seqs: list[int]) -> bytes:
    """These events as JSON, newest first, comma-separated."""
    row = connection.execute(_BODIES, (seqs,), binary=True).fetchone()
    return bytes(row[0]) if row else b""
