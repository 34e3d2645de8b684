"""How much each namespace wrote, and was refused, in each hour: `namespaces_usage`.

Events are counted from the log, which one process at a time follows; refused writes are
in no log, so each process adds its own. Invariant: an event is counted once, as the
cursor moves in the transaction that counts; and no transaction is long, however far
behind the cursor is.
"""

import time
from pathlib import Path

from psycopg import Connection
from psycopg.rows import TupleRow

from flux_project.database import statement
from namespaces import levels

ROUND_SECONDS = 2.0
# So many events in one transaction: 0.1 s.
STRETCH_EVENTS = 50_000
# When it is behind, it counts for so long in a round; commits need the disk as well.
BUSY_SECONDS = 0.5
# What was refused to so many namespaces in one statement.
MOST_REFUSED = 1_000
KEPT_DAYS = 400
PRUNE_SECONDS = 3_600.0
MOST_PRUNED = 10_000
# Who holds it counts: "usag" in ASCII.
_ELECTION_KEY = 0x75736167

_SQL = Path(__file__).parent / "sql"
_COUNT = statement(_SQL / "usage.sql")
_REFUSED = statement(_SQL / "usage_refused.sql")
_PRUNE = statement(_SQL / "usage_prune.sql")


class Usage:
    """One process's part in it."""

    def __init__(self) -> None:
        self._prune_at = 0.0

    def keep_up(self, connection: Connection[TupleRow]) -> None:
        """Adds what was refused here, and what the log has got since the last time."""
        while add_refused(connection) == MOST_REFUSED:
            continue
        until = time.monotonic() + BUSY_SECONDS
        while count(connection) == STRETCH_EVENTS and time.monotonic() < until:
            continue
        if time.monotonic() >= self._prune_at:
            is_rest = prune(connection) == MOST_PRUNED
            self._prune_at = time.monotonic() + (0 if is_rest else PRUNE_SECONDS)


def count(connection: Connection[TupleRow]) -> int:
    """Counts the next stretch; the number of its events.

    0 as well when another process is at it.
    """
    with connection.transaction():
        row = connection.execute(
            "SELECT pg_try_advisory_xact_lock(%s)", (_ELECTION_KEY,)
        ).fetchone()
        if not (row and row[0]):
            return 0
        row = connection.execute("SELECT seq FROM namespaces_usagecursor").fetchone()
        if row is None:
            message = "namespaces_usagecursor has lost its row."
            raise LookupError(message)
        since = row[0]
        bounds = {"since": since, "upto": since + STRETCH_EVENTS}
        row = connection.execute(_COUNT, bounds).fetchone()
        return row[0] - since if row else 0


def add_refused(connection: Connection[TupleRow]) -> int:
    """Adds the writes that this process refused; to how many namespaces.

    What could not be added is kept. A process that ends takes its last seconds along.
    """
    refused = levels.take_refusals(MOST_REFUSED)
    if refused:
        try:
            given = {"namespaces": list(refused), "refused": list(refused.values())}
            connection.execute(_REFUSED, given)
        except BaseException:
            levels.give_back(refused)
            raise
    return len(refused)


def prune(connection: Connection[TupleRow]) -> int:
    """Forgets hours of long ago; how many of them."""
    return connection.execute(_PRUNE, {"days": KEPT_DAYS, "most": MOST_PRUNED}).rowcount


_usage = Usage()


def keep_up(connection: Connection[TupleRow]) -> None:
    """This process's round."""
    _usage.keep_up(connection)
