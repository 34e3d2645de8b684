"""The numbers that everybody is told every two seconds (contract §5, metrics_update).

They span all processes: the log and the counters are common, every feed sees every
event, and the processes tell each other how many WebSockets they have.
"""

import time

from psycopg.pq.abc import PGresult

from flux_project import pipeline
from flux_project.pipeline import Call, Statement
from state import frames
from state.feed import Feed

_TOTAL = Statement(
    b"flux_total", b"SELECT coalesce(sum(entities), 0)::bigint FROM state_count"
)
STATEMENTS = (_TOTAL,)
ASK_TOTAL: Call = (_TOTAL, ())


def total(answer: PGresult) -> int:
    """How many entities there are, by the answer to ASK_TOTAL."""
    found: int = pipeline.int8(answer.get_value(0, 0))
    return found


def frame(feed: Feed, *, entities: int) -> bytes:
    """The `metrics_update` of this moment."""
    connections = feed.topics.sockets + feed.neighbours.connections
    return frames.message(
        "metrics_update",
        timestamp=frames.rfc3339(time.time_ns() // 1_000).decode(),
        entities={"total": entities},
        events={
            "total": max(feed.position, 0),
            "rate_per_second": feed.rates.per_second,
        },
        websocket={"connections": connections},
        publishers={"active": feed.rates.publishers},
    )
