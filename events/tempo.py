"""How fast the log grew in the past hour, by the minute.

Invariant: nothing is counted. Two places in the log, each found by halving, say how
many events lie between, whatever the log's length.
"""

from pathlib import Path

from msgspec import Struct
from psycopg.pq.abc import PGresult

from flux_project import pipeline
from flux_project.pipeline import Call, Statement

NOW_SECONDS = 10

ASK: Call = (Statement.from_file(Path(__file__).parent / "sql" / "tempo.sql"), ())


class Tempo(Struct, frozen=True):
    """head: the end of the log. per_second: over the last NOW_SECONDS. minutes: (its
    beginning, in seconds since 1970; events), the oldest first; the last is running."""

    head: int
    per_second: float
    minutes: tuple[tuple[int, int], ...]

    @property
    def hour(self) -> int:
        return sum(events for _, events in self.minutes)


def read(answer: PGresult) -> Tempo:
    """By the answer to ASK."""
    int8 = pipeline.int8
    (_, recent, _, head), *moments = pipeline.rows(answer, int8, int8, int8, int8)
    minutes = []
    end = head + 1
    for _, first, at, _ in moments:
        minutes.append((at, end - first))
        end = first
    per_second = round((head + 1 - recent) / NOW_SECONDS, 1)
    return Tempo(head, per_second, tuple(reversed(minutes)))
