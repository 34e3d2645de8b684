"""How many paid purchases wait in vain for their namespace, for whoever reads the
metrics.

Invariant: a scrape asks the database nothing; each process looks now and then.
"""

import time
from pathlib import Path

from psycopg import Connection
from psycopg.rows import TupleRow

from flux_project import metrics
from flux_project.database import statement

ROUND_SECONDS = 30.0
_COUNT = statement(Path(__file__).parent / "sql" / "stuck.sql")


class Watch:
    """One process's look at it."""

    def __init__(self) -> None:
        self._look_at = 0.0

    def keep_up(self, connection: Connection[TupleRow]) -> None:
        """Looks, unless it just has."""
        if time.monotonic() < self._look_at:
            return
        row = connection.execute(_COUNT).fetchone()
        metrics.PURCHASES_STUCK.set(row[0] if row else 0)
        self._look_at = time.monotonic() + ROUND_SECONDS


_watch = Watch()


def keep_up(connection: Connection[TupleRow]) -> None:
    """This process's round."""
    _watch.keep_up(connection)
