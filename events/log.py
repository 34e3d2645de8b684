"""The log: one ordered sequence of stored events, and the only code that touches it.

Invariant: `seq` is 1, 2, 3 … without holes, in commit order. A plain sequence cannot say
that (its numbers are handed out before the commit), so an append holds the log's lock
and counts on from the last row. The lock comes before any other row lock, everywhere.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from psycopg import Connection, Cursor
from psycopg.rows import TupleRow

from events.envelope import Event
from flux_project.database import Bigints, Blobs, Texts, statement

# The advisory lock that serialises the writers of all processes: "flux" in ASCII.
LOCK_KEY = 0x666C7578
# Longer statements were measured slower (4,000 events in one: 53 ms, in four: 40 ms).
EVENTS_PER_STATEMENT = 1_000

_SQL = Path(__file__).parent / "sql"
_HEAD = statement(_SQL / "head.sql")
_APPEND = statement(_SQL / "append.sql")
_REMEMBER = statement(_SQL / "remember.sql")

Session = Connection[TupleRow]


@dataclass(frozen=True, slots=True)
class Head:
    """Where the log ends: the last seq (0: empty), the time now, the registry version.

    The time is never before the last event's.
    """

    seq: int
    now: datetime
    registry_version: int


def lock(connection: Session) -> None:
    """Takes the log's lock until the transaction ends; waits its turn."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK_KEY,))


def ask_head(connection: Session) -> Cursor[TupleRow]:
    """Sends the question; `read_head` takes the answer, which may be pipelined."""
    return connection.execute(_HEAD, binary=True)


def read_head(cursor: Cursor[TupleRow]) -> Head:
    row = cursor.fetchone()
    if row is None:
        message = "events_log has lost its row: this is no Flux database."
        raise LookupError(message)
    return Head(*row)


def head(connection: Session) -> Head:
    return read_head(ask_head(connection))


def ask_known(connection: Session, digests: Sequence[bytes]) -> Cursor[TupleRow]:
    """Which of these client-given ids are in the log: rows of (digest, seq, stream)."""
    return connection.execute(
        "SELECT digest, seq, stream FROM events_idempotency"
        " WHERE digest = ANY(%s::bytea[])",
        (Blobs(digests),),
        binary=True,
    )


def append(
    connection: Session, events: Sequence[Event], *, first_seq: int, at: datetime
) -> None:
    """Writes `events` at first_seq, first_seq + 1, …; the caller holds the lock."""
    for start in range(0, len(events), EVENTS_PER_STATEMENT):
        part = events[start : start + EVENTS_PER_STATEMENT]
        connection.execute(
            _APPEND,
            (
                first_seq + start,
                at,
                Texts.of(event.event_id for event in part),
                Texts.of(event.stream for event in part),
                Texts.of(event.source for event in part),
                Texts.of(event.key for event in part),
                Texts.of(event.schema for event in part),
                Texts.of(event.namespace for event in part),
                Texts.of(event.entity_id for event in part),
                Bigints([event.occurred_at for event in part]),
                Texts([event.payload for event in part]),
            ),
        )
    _remember(connection, enumerate(events, first_seq))


def _remember(connection: Session, placed: Iterable[tuple[int, Event]]) -> None:
    given = [(event.digest, seq, event.stream) for seq, event in placed if event.digest]
    if given:
        digests, seqs, streams = zip(*given, strict=True)
        connection.execute(
            _REMEMBER, (Blobs(digests), Bigints(seqs), Texts.of(streams))
        )


def event_id_at(connection: Session, seq: int) -> str | None:
    """The id of the event at `seq`; None when the log does not reach that far."""
    row = connection.execute(
        "SELECT event_id FROM events_event WHERE seq = %s", (seq,)
    ).fetchone()
    return row[0] if row else None
