"""The log: one ordered sequence of stored events, and the only code that touches it.

Invariant: `seq` is 1, 2, 3 … without holes, in commit order. A plain sequence cannot
say that (its numbers are handed out before the commit), so an append holds the log's
lock and counts on from the last row. The lock comes before any other row lock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg import Connection
from psycopg.pq.abc import PGresult
from psycopg.rows import TupleRow

from events.envelope import Event
from flux_project import pipeline
from flux_project.database import bigints, blobs, strings, texts
from flux_project.pipeline import Call, Statement

# The advisory lock that serialises the writers of all processes: "flux" in ASCII.
LOCK_KEY = 0x666C7578
# Longer statements were measured slower (4,000 events in one: 53 ms, in four: 40 ms).
EVENTS_PER_STATEMENT = 1_000

_SQL = Path(__file__).parent / "sql"
_LOCK = Statement(b"flux_events_lock", b"SELECT pg_advisory_xact_lock($1)")
_HEAD = Statement.from_file(_SQL / "head.sql")
_KNOWN = Statement.from_file(_SQL / "known.sql")
_APPEND = Statement.from_file(_SQL / "append.sql")
_REMEMBER = Statement.from_file(_SQL / "remember.sql")
_STORED = Statement.from_file(_SQL / "stored.sql")

# Takes the log's lock until the transaction ends; waits its turn.
LOCK: Call = (_LOCK, (pipeline.bigint(LOCK_KEY),))
# Asks where the log ends; `head` reads the answer.
HEAD: Call = (_HEAD, ())


@dataclass(frozen=True, slots=True)
class Head:
    """Where the log ends: the last seq (0: empty), the time now, the registry version.

    now: PostgreSQL's binary timestamptz, never before the last event's; it only travels
    back into statements of the same transaction.
    """

    seq: int
    now: bytes
    registry_version: int


def head(answer: PGresult) -> Head:
    """Reads the answer to HEAD."""
    found = pipeline.rows(answer, pipeline.int8, pipeline.raw, pipeline.int8)
    if not found:
        message = "events_log has lost its row: this is no Flux database."
        raise LookupError(message)
    return Head(*found[0])


def ask_known(digests: Sequence[bytes]) -> Call:
    """Asks which of these client-given ids are in the log; `known` reads the answer."""
    return _KNOWN, (blobs(digests),)


def known(answer: PGresult) -> dict[bytes, tuple[int, str]]:
    """By digest, the (seq, stream) of its event."""
    found = pipeline.rows(answer, pipeline.raw, pipeline.int8, pipeline.text)
    return {digest: (seq, stream) for digest, seq, stream in found}


def append(events: Sequence[Event], *, first_seq: int, at: bytes) -> list[Call]:
    """What writes `events` at first_seq, first_seq + 1, …, for who holds the lock."""
    calls: list[Call] = []
    for start in range(0, len(events), EVENTS_PER_STATEMENT):
        part = events[start : start + EVENTS_PER_STATEMENT]
        parameters = (
            pipeline.bigint(first_seq + start),
            at,
            strings([event.event_id for event in part]),
            strings([event.stream for event in part]),
            strings([event.source for event in part]),
            strings([event.key for event in part]),
            strings([event.schema for event in part]),
            strings([event.namespace for event in part]),
            strings([event.entity_id for event in part]),
            bigints([event.occurred_at for event in part]),
            texts([event.payload for event in part]),
        )
        calls.append((_APPEND, parameters))
    return calls + _remember(enumerate(events, first_seq))


def _remember(placed: Iterable[tuple[int, Event]]) -> list[Call]:
    given = [(event.digest, seq, event.stream) for seq, event in placed if event.digest]
    if not given:
        return []
    digests, seqs, streams = zip(*given, strict=True)
    return [(_REMEMBER, (blobs(digests), bigints(seqs), strings(streams)))]


def is_stored(
    connection: Connection[TupleRow],
    events: Sequence[Event],
    *,
    first_seq: int,
    at: bytes,
) -> bool:
    """Whether `append` with these arguments was committed, and nothing else there.

    A client may have sent an event again, with its own id, through another process.
    """
    ids = strings([event.event_id for event in events])
    call = (_STORED, (pipeline.bigint(first_seq), at, ids))
    [answer] = pipeline.run(connection, [call])
    [(found,)] = pipeline.rows(answer, pipeline.int8)
    return bool(found == len(events))
