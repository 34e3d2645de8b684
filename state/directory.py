"""`flux-core/directory`: the entity that says what is in Flux (contract §3).

Kept from the counters, not from events: it has no history and is no part of a replay.
Invariant: one process at a time rewrites it, and it is at most 5 s behind.
"""

from pathlib import Path

from psycopg import Connection
from psycopg.rows import TupleRow

from flux_project.database import statement

ENTITY_ID = "flux-core/directory"
# Whose listeners asked for it are told when it was rewritten.
CHANNEL = "flux_directory"
ROUND_SECONDS = 1.0
LEAST_AGE_SECONDS = 3.0
# Who holds it for the round is the one that rewrites: "dire" in ASCII.
_ELECTION_KEY = 0x64697265

_REWRITE = statement(Path(__file__).parent / "sql" / "directory.sql")


def refresh(connection: Connection[TupleRow]) -> None:
    """Rewrites the directory if it is old and no other process is at it."""
    with connection.transaction():
        row = connection.execute(
            "SELECT pg_try_advisory_xact_lock(%s)", (_ELECTION_KEY,)
        ).fetchone()
        if row and row[0]:
            done = connection.execute(_REWRITE, (LEAST_AGE_SECONDS,))
            if done.rowcount:
                connection.execute("SELECT pg_notify(%s, '')", (CHANNEL,))
