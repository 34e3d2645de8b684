"""How the database is (contract §9); of the feed, `state.feed.check` says it.

Invariant: the answer comes soon, also from a database that stands still: no statement
timeout of its own works then.
"""

from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import TupleRow

from flux_project import pipeline
from flux_project.pipeline import Call, Statement

ANSWER_SECONDS = 5

_VITALS: Call = (
    Statement(
        b"flux_vitals",
        b"SELECT (SELECT coalesce(max(seq), 0) FROM events_event),"
        b" (SELECT coalesce(sum(entities), 0)::bigint FROM state_count)",
    ),
    (),
)


@dataclass(frozen=True, slots=True)
class Vitals:
    """seq: the head of the log; entities: how many exist, the server's own apart."""

    seq: int
    entities: int


def measure(connection: Connection[TupleRow]) -> Vitals:
    """Reads the head and the counters; both are cheap at any size.

    Raises psycopg.OperationalError when that takes longer than ANSWER_SECONDS.
    """
    [answer] = pipeline.run(connection, [_VITALS], seconds=ANSWER_SECONDS)
    [(seq, entities)] = pipeline.rows(answer, pipeline.int8, pipeline.int8)
    return Vitals(seq, entities)
