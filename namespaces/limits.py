"""What namespaces have spent of their rate limit, in the database.

Invariant: a bucket is spent in the transaction that stores the events, under the log's
lock, so it is exact across processes.
"""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from psycopg.pq.abc import PGresult

from flux_project import pipeline
from flux_project.database import bigints, names, strings
from flux_project.pipeline import Call, Statement
from namespaces import bucket, levels
from namespaces.bucket import Level

UNCHECKED = (1 << 63) - 1

_SQL = Path(__file__).parent / "sql"
_BUCKETS = Statement.from_file(_SQL / "buckets.sql")
_SPEND = Statement.from_file(_SQL / "spend.sql")
STATEMENTS = (_BUCKETS, _SPEND)


def ask(namespaces: Iterable[str]) -> Call:
    """Asks what these have spent; `read` reads the answer."""
    return _BUCKETS, (strings(namespaces),)


def read(answer: PGresult, asked: Iterable[str]) -> dict[str, Level]:
    """What each had spent, by this process's clock; never later than it was."""
    now = time.monotonic()
    found = dict.fromkeys(asked, Level(0, now))
    columns = (pipeline.text, pipeline.int8, pipeline.int8)
    for namespace, spent, micros in pipeline.rows(answer, *columns):
        found[namespace] = Level(spent, now - micros / 1_000_000)
    return found


def spend(events: Mapping[str, int], *, limit: int, is_checked: bool) -> Call:
    """What spends for so many events of each namespace; `spent` reads the answer.

    is_checked: it fails with `log.OTHERWISE` where that is more than is left.
    """
    most = limit * bucket.EVENT if is_checked else UNCHECKED
    costs = [count * bucket.EVENT for count in events.values()]
    parameters = (names(list(events)), bigints(costs))
    return _SPEND, (*parameters, pipeline.bigint(limit), pipeline.bigint(most))


def spent(answer: PGresult) -> dict[str, Level]:
    """What each has spent now that it was committed; it is known from now on."""
    now = time.monotonic()
    columns = (pipeline.text, pipeline.int8)
    found = {
        namespace: Level(micro, now)
        for namespace, micro in pipeline.rows(answer, *columns)
    }
    levels.learn(found)
    return found
