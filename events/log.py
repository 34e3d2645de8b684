"""The log: one ordered sequence of stored events, and the only code that touches it.

Invariant: `seq` is 1, 2, 3 … without holes, in commit order. A plain sequence cannot
say that (its numbers are handed out before the commit), so an append holds the log's
lock and counts on from the last row. The lock comes before any other row lock.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct
from psycopg import Connection
from psycopg.pq.abc import PGresult
from psycopg.rows import TupleRow

from events.envelope import Event
from flux_project import pipeline
from flux_project.database import (
    LOG_LOCK_KEY,
    bigints,
    blobs,
    names,
    strings,
    texts,
)
from flux_project.pipeline import Call, Statement

# Longer statements were measured slower (4,000 events in one: 53 ms, in four: 40 ms).
EVENTS_PER_STATEMENT = 1_000

_SQL = Path(__file__).parent / "sql"
_LOCK = Statement(b"flux_events_lock", b"SELECT pg_advisory_xact_lock($1)")
_HEAD = Statement.from_file(_SQL / "head.sql")
_KNOWN = Statement.from_file(_SQL / "known.sql")
_APPEND = Statement.from_file(_SQL / "append.sql")
_REMEMBER = Statement.from_file(_SQL / "remember.sql")
_STORED = Statement.from_file(_SQL / "stored.sql")
_EXPECT = Statement.from_file(_SQL / "expect.sql")
_NOTIFY = Statement(b"flux_notify", b"SELECT pg_notify($1, '')")

# The statements of the hot path, to be prepared before their first use.
STATEMENTS = (_LOCK, _HEAD, _KNOWN, _APPEND, _REMEMBER, _EXPECT, _NOTIFY)

# Wakes the feeds of all processes when the transaction commits. A wake-up only: what
# there is to know stands in the log.
CHANNEL = "flux_events"
NOTIFY: Call = (_NOTIFY, (CHANNEL.encode(),))

# Takes the log's lock until the transaction ends; waits its turn.
LOCK: Call = (_LOCK, (pipeline.bigint(LOG_LOCK_KEY),))
# Asks where the log ends; `head` reads the answer.
HEAD: Call = (_HEAD, ())


class Head(Struct, frozen=True):
    """Where the log ends: the seq (0: empty) and the id of its last event; which log it
    is, and the version of what the processes know beside it."""

    seq: int
    event_id: str
    log_id: bytes
    registry_version: int


def head(answer: PGresult) -> Head:
    """Reads the answer to HEAD."""
    columns = (pipeline.int8, pipeline.text, pipeline.raw, pipeline.int8)
    found = pipeline.rows(answer, *columns)
    if not found:
        message = "events_log has lost its row: this is no Flux database."
        raise LookupError(message)
    return Head(*found[0])


def expect(head: Head) -> Call:
    """Fails with OTHERWISE unless the log ends at `head`; for who holds the lock."""
    version = pipeline.bigint(head.registry_version)
    end = (pipeline.bigint(head.seq), head.event_id.encode())
    return _EXPECT, (*end, head.log_id, version)


# The SQLSTATE of a failed `expect`: division by zero.
OTHERWISE = "22012"


def ask_known(digests: Sequence[bytes]) -> Call:
    """Asks which of these client-given ids are in the log; `known` reads the answer."""
    return _KNOWN, (blobs(digests),)


def known(answer: PGresult) -> dict[bytes, tuple[int, str]]:
    """By digest, the (seq, stream) of its event."""
    found = pipeline.rows(answer, pipeline.raw, pipeline.int8, pipeline.text)
    return {digest: (seq, stream) for digest, seq, stream in found}


def append(
    events: Sequence[Event], tokens: Sequence[str | None], *, first_seq: int
) -> list[Call]:
    """What writes `events` at first_seq, first_seq + 1, …, for who holds the lock.

    tokens: the ids of those that wrote them; None where none was needed. All are
    recorded at one time: the database's now, or the last event's if that is later.
    """
    calls: list[Call] = []
    for start in range(0, len(events), EVENTS_PER_STATEMENT):
        part = events[start : start + EVENTS_PER_STATEMENT]
        parameters = (
            pipeline.bigint(first_seq + start),
            pipeline.bigint(first_seq),
            strings([event.event_id for event in part]),
            names([event.stream for event in part]),
            names([event.source for event in part]),
            names([event.key for event in part]),
            names([event.schema for event in part]),
            names([event.namespace for event in part]),
            names([event.entity_id for event in part]),
            bigints([event.occurred_at for event in part]),
            texts([event.payload for event in part]),
            names(tokens[start : start + EVENTS_PER_STATEMENT]),
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
    connection: Connection[TupleRow], events: Sequence[Event], *, first_seq: int
) -> bool:
    """Whether these events stand in the log from first_seq on, as they are here."""
    parameters = (
        pipeline.bigint(first_seq),
        strings([event.event_id for event in events]),
        strings([event.stream for event in events]),
        strings([event.entity_id for event in events]),
        texts([event.payload for event in events]),
    )
    [answer] = pipeline.run(connection, [(_STORED, parameters)])
    [(found,)] = pipeline.rows(answer, pipeline.int8)
    return bool(found == len(events))


def recorded_at(answer: PGresult) -> int:
    """The time that `append`'s first call gave its events: us since 1970."""
    found: int = pipeline.moment(answer.get_value(0, 0))
    return found
