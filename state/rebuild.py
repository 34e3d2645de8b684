"""Derives the state anew from the log, beside a running server, and puts it in place.

The new state is built in tables of its own, entity by entity up to one position of the
log; then event by event it catches up with the writers; then, under the log's lock, it
takes the last few and changes places with the old tables. Invariant: until that commit
the live state is untouched, and after it every reader sees the new one.

Rejected: to correct in place the rows that differ. When the rule has changed that is
every row, and either the writers wait for all of them or the readers see a mixture for
minutes; changing places takes the same few milliseconds however much differs. It costs
the room of a second state, for as long as it runs.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from msgspec import Struct
from psycopg import Connection, sql
from psycopg.rows import TupleRow

from events import audit, log
from events.audit import StoredEvent
from flux_project import database, pipeline
from flux_project.database import DatabaseUnavailable, statement
from flux_project.errors import Conflict, FluxError, Unavailable
from namespaces import names
from state import store
from state.merge import Change
from state.replay import Derived, Replay, Tally
from state.verify import Watch

SCHEMA = "flux_rebuild"
TIMEOUT_MS = 60_000
# The last events are taken while the writers wait: about this many, some 50 ms.
LAST_EVENTS = 1_000
# Readers and writers queue behind the exchange, so it waits for others only so long.
EXCHANGE_MS = 3_000
ATTEMPTS = 20
_PAUSE_SECONDS = 1.0
# Who holds it for the session is the one that rebuilds: "rebu" in ASCII.
_LOCK_KEY = 0x72656275

_SQL = Path(__file__).parent / "sql"
_TABLES = statement(_SQL / "rebuild_tables.sql")
_TIMES = statement(_SQL / "rebuild_times.sql")
_EXCHANGE = statement(_SQL / "rebuild_exchange.sql")
_COUNTERS = sql.Identifier(SCHEMA, "state_count")
_COPY = (
    "COPY state_entity (id, namespace, properties, version, seq, updated_at) FROM STDIN"
)

Session = Connection[TupleRow]


class RebuildRunning(Conflict):
    """Another rebuild is running; two would be in each other's way."""


class TablesInUse(Unavailable):
    """Somebody reads the state's tables all the while (a dump, an open transaction);
    the live state is as it was. Try again when they are done."""


class ObjectsDepend(Conflict):
    """Something made by hand depends on the state's tables: drop it first."""


class Rebuilt(Struct, frozen=True, gc=False):
    """What a rebuild did: the position it stands for, and how long writers waited."""

    seq: int
    entities: int
    held_seconds: float


def rebuild(watch: Watch) -> Rebuilt:
    """Derives everything anew. Interrupted, it leaves the live state and no trace.

    Raises RebuildRunning, TablesInUse, DatabaseUnavailable.
    """
    with _workplace() as connection:
        try:
            return _rebuild(connection, watch)
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable from error


@contextmanager
def _workplace() -> Iterator[Session]:
    """A connection that finds the new tables before the live ones; both end with it."""
    connection = database.connect(timeout_ms=TIMEOUT_MS, name="flux rebuild")
    try:
        _claim(connection)
        try:
            _make_tables(connection)
            yield connection
        finally:
            connection.close()
            _clean_up()
    finally:
        connection.close()


def _claim(connection: Session) -> None:
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK_KEY,)).fetchone()
    if not (row and row[0]):
        raise RebuildRunning


def _make_tables(connection: Session) -> None:
    _remove(connection)  # what a killed run left behind
    with connection.transaction():
        connection.execute(_TABLES)
    connection.execute(
        "SELECT set_config('search_path', %s || ',' || quote_ident(current_schema),"
        " false)",
        (SCHEMA,),
    )
    # A crash loses tables that nobody uses yet; the exchange itself is synchronous.
    connection.execute("SET synchronous_commit = off")


def _remove(connection: Session) -> None:
    connection.execute(
        sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(SCHEMA))
    )


def _clean_up() -> None:
    """Removes the workplace, on a connection that no interruption has left half-way.

    Waits for the end of the one before. Should this fail, the database is away or the
    next rebuild has begun, and that one removes what it finds.
    """
    with (
        suppress(FluxError, psycopg.Error),
        database.connect(name="flux rebuild") as connection,
    ):
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK_KEY,))
        _remove(connection)


def _rebuild(connection: Session, watch: Watch) -> Rebuilt:
    position = audit.head(connection)
    _derive(connection, position, watch)
    connection.execute("ANALYZE state_entity, state_count")
    watch.begin("catching up", total=None, unit="events")
    for _ in range(ATTEMPTS):
        position = _catch_up(connection, position, watch)
        try:
            return _exchange(connection, position)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            time.sleep(_PAUSE_SECONDS)
        except psycopg.errors.DependentObjectsStillExist as error:
            raise ObjectsDepend(error.diag.message_detail) from None
    raise TablesInUse


def _derive(connection: Session, head: int, watch: Watch) -> None:
    """The state as of the seq `head`, entity by entity."""
    watch.begin("state", total=head, unit="events")
    replay = Replay(head=head, is_bounded=True)
    for page in replay.pages(connection):
        with connection.transaction():
            _copy(connection, page.entities)
            replay.tally.store(connection, into=_COUNTERS)
        watch.advance(page.counted)


def _copy(connection: Session, entities: Sequence[Derived]) -> None:
    with connection.cursor().copy(_COPY) as copy:
        for entity in entities:
            copy.write_row(
                (
                    entity.id,
                    entity.namespace,
                    entity.properties.decode(),
                    entity.version,
                    entity.seq,
                    entity.updated_at,
                )
            )


def _catch_up(connection: Session, position: int, watch: Watch) -> int:
    """Applies what was written since `position`, until little is left; the new one."""
    while audit.head(connection) - position > LAST_EVENTS:
        events = audit.by_seq(connection, after=position)
        with connection.transaction():
            position = _apply(connection, events, position)
        watch.advance(len(events))
    return position


def _apply(connection: Session, events: Sequence[StoredEvent], position: int) -> int:
    """Applies to the new tables the events that follow `position`; their last seq."""
    ids = list(dict.fromkeys(event.entity_id for event in events))
    [answer] = pipeline.run(connection, [store.ask_standing(ids)])
    standing = store.standing(answer)
    changes = {
        id_: Change(id_, names.namespace_of(id_), version=standing.get(id_, (0, 0))[0])
        for id_ in ids
    }
    last = events[-1]
    tally = Tally(last.seq)
    for event in events:
        tally.apply(changes[event.entity_id], event)
    changed = [one for one in changes.values() if one.existed or one.exists]
    pipeline.run(connection, store.apply(changed, last.seq))
    connection.execute(_TIMES, (position, last.seq))
    tally.store(connection, into=_COUNTERS)
    return last.seq


def _exchange(connection: Session, position: int) -> Rebuilt:
    """Takes the last events and puts the new tables in place, in one transaction.

    Statements that running servers have prepared go on: PostgreSQL plans them anew, by
    the tables' names.
    """
    with connection.transaction():
        connection.execute(f"SET LOCAL lock_timeout = {EXCHANGE_MS:d}")
        connection.execute("SET LOCAL synchronous_commit = on")
        # In the order in which a change of the registry takes the two.
        connection.execute("SELECT FROM events_log FOR UPDATE")
        pipeline.run(connection, [log.LOCK])
        began = time.monotonic()
        while events := audit.by_seq(connection, after=position):
            position = _apply(connection, events, position)
        connection.execute(_EXCHANGE)
        row = connection.execute("SELECT sum(entities)::bigint FROM state_count")
        entities = (row.fetchone() or (0,))[0] or 0
    return Rebuilt(position, entities, time.monotonic() - began)
