"""Whether this server can do its work (contract §9)."""

from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import TupleRow


@dataclass(frozen=True, slots=True)
class Vitals:
    """seq: the head of the log; entities: how many exist, the server's own apart."""

    seq: int
    entities: int


def measure(connection: Connection[TupleRow]) -> Vitals:
    """Reads the head and the counters; both are cheap at any size."""
    row = connection.execute(
        "SELECT (SELECT coalesce(max(seq), 0) FROM events_event),"
        " (SELECT coalesce(sum(entities), 0) FROM state_count)"
    ).fetchone()
    return Vitals(int(row[0]), int(row[1])) if row else Vitals(0, 0)
