"""The transaction: what is true after a commit, and after one that failed."""

import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import connection as django
from django.db import transaction
from psycopg import Connection
from psycopg.rows import TupleRow

from events import ingest
from events.commands import Command, Delete, DeleteMatching, Stored
from events.group import EntityTooLarge
from events.ingest import RefusedByDatabase
from events.models import Event
from flux_project.database import LOG_LOCK_KEY, DatabaseUnavailable, Session
from state.selection import Selection
from state.store import EntityNotFound
from tests.support.said import World, append, poison
from tests.support.servers import wait_for

MIB = 1 << 20


@pytest.fixture
def session(database: None) -> Iterator[Session]:
    """A connection that was never used before."""
    made = Session(name="a test writes")
    yield made
    made.drop()


def seqs(commands: list[Command]) -> list[int | None]:
    outcomes = ingest.commit(commands)
    return [one.seq if isinstance(one, Stored) else None for one in outcomes]


def test_events_get_the_next_places_in_their_order(world: World) -> None:
    assert seqs([append("a/x"), append("a/y"), append("a/x")]) == [1, 2, 3]
    assert seqs([append("a/z")]) == [4]
    stored = Event.objects.order_by("seq").values_list("seq", "entity_id")
    assert list(stored) == [(1, "a/x"), (2, "a/y"), (3, "a/x"), (4, "a/z")]


def test_the_next_read_sees_what_was_committed(world: World) -> None:
    ingest.commit([append(properties={"n": 1, "m": None}), append(unset=("m",))])
    found = world.get("a/x")["a/x"]
    assert found["properties"] == {"n": 1}
    assert (found["version"], found["seq"]) == (2, 2)
    [(recorded,)] = world.rows("SELECT recorded_at FROM events_event WHERE seq = 2")
    assert datetime.fromisoformat(found["lastUpdated"]) == recorded


def test_more_events_than_one_statement_takes(world: World) -> None:
    commands: list[Command] = [
        append(f"a/{n % 1_500}", {"n": n}, event_id=str(n)) for n in range(2_500)
    ]
    assert seqs(commands) == list(range(1, 2_501))
    assert world.rows("SELECT count(*) FROM state_entity") == [(1_500,)]
    assert world.rows("SELECT count(*) FROM events_idempotency") == [(2_500,)]
    assert world.get("a/7")["a/7"]["properties"] == {"n": 1_507}


def test_a_known_id_answers_what_was_stored_first(world: World) -> None:
    ingest.commit([append("a/x", {"n": 1}, event_id="e", stream="first")])
    [again] = ingest.commit([append("a/y", {"n": 2}, event_id="e", stream="second")])
    assert again == Stored("e", "first", 1, is_duplicate=True)
    assert world.get("a/y") == {}
    assert world.rows("SELECT count(*) FROM events_event") == [(1,)]


def test_an_id_may_come_twice_in_one_group(world: World) -> None:
    first, second, other = ingest.commit(
        [
            append("a/x", {"n": 1}, event_id="e"),
            append("a/x", {"n": 2}, event_id="e"),
            append("b/x", {"n": 3}, event_id="e"),
        ]
    )
    assert first == Stored("e", "test", 1)
    assert second == Stored("e", "test", 1, is_duplicate=True)
    assert other == Stored("e", "test", 2)
    assert world.get("a/x")["a/x"]["properties"] == {"n": 1}


def test_a_refused_event_claims_no_id(world: World) -> None:
    large = {"x": "x" * (4 * MIB)}
    refused, stored = ingest.commit(
        [append("a/x", large, event_id="e"), append("a/x", {"n": 1}, event_id="e")]
    )
    assert isinstance(refused, EntityTooLarge)
    assert stored == Stored("e", "test", 1)


@pytest.mark.parametrize("at", [0, 2, 4])
def test_poison_fails_alone(session: Session, world: World, at: int) -> None:
    commands: list[Command] = [append(f"a/{n}", {"n": n}) for n in range(4)]
    commands.insert(at, poison("a/poison"))
    outcomes = ingest.commit_group(session, commands)
    refused = outcomes.pop(at)
    assert isinstance(refused, RefusedByDatabase)
    assert [one.seq for one in outcomes if isinstance(one, Stored)] == [1, 2, 3, 4]
    assert len(world.get(*[f"a/{n}" for n in range(4)])) == 4
    assert world.get("a/poison") == {}
    assert world.rows("SELECT entities FROM state_count") == [(4,)]


def test_where_everything_is_poison_nothing_is_stored(
    session: Session, world: World
) -> None:
    outcomes = ingest.commit_group(session, [poison(), poison("a/y"), poison()])
    assert all(isinstance(one, RefusedByDatabase) for one in outcomes)
    assert world.rows("SELECT count(*) FROM events_event") == [(0,)]
    assert world.rows("SELECT count(*) FROM state_count") == [(0,)]
    assert ingest.commit_group(session, [append()]) != outcomes


def test_around_poison_a_command_sees_those_before_it(
    session: Session, world: World
) -> None:
    commands: list[Command] = [
        append("a/x", {"n": 1}, event_id="e"),
        poison("a/y"),
        append("a/x", {"n": 2}, event_id="e"),
        Delete("a/x"),
        Delete("a/x"),
    ]
    first, _, again, deleted, missing = ingest.commit_group(session, commands)
    assert isinstance(first, Stored)
    assert again == Stored("e", "test", 1, is_duplicate=True)
    assert isinstance(deleted, Stored)
    assert deleted.seq == 2
    assert isinstance(missing, EntityNotFound)


def test_after_a_rollback_the_prepared_statements_are_still_there(
    session: Session, world: World
) -> None:
    """psycopg would drop them all, ours too, had it prepared any itself."""
    everything = DeleteMatching(Selection(prefix="a/"), 10)
    for _ in range(3):
        ingest.commit_group(session, [append(), everything])
    refused, stored = ingest.commit_group(session, [poison(), append()])
    assert isinstance(refused, RefusedByDatabase)
    assert isinstance(stored, Stored)


def test_what_poison_leaves_commits_together(session: Session, world: World) -> None:
    def fail(connection: Connection[TupleRow]) -> None:
        assert connection.execute("SELECT max(seq) FROM events_event").fetchone() == (
            2,
        )
        raise ZeroDivisionError

    commands: list[Command] = [append("a/x"), poison("a/y"), append("a/z")]
    with pytest.raises(ZeroDivisionError):
        ingest.commit_group(session, commands, also=fail)
    assert world.rows("SELECT count(*) FROM events_event") == [(0,)]
    ingest.commit_group(session, [append()])


def test_also_runs_last_in_the_same_transaction(world: World) -> None:
    def also(connection: Connection[TupleRow]) -> None:
        seen = connection.execute("SELECT seq, version FROM state_entity").fetchall()
        connection.execute("UPDATE events_log SET registry_version = 7")
        assert seen == [(1, 1)]

    ingest.commit([append()], also=also)
    assert world.rows("SELECT registry_version FROM events_log") == [(7,)]
    ingest.commit([], also=lambda connection: None)


def test_when_also_fails_nothing_is_stored(world: World) -> None:
    def fail(connection: Connection[TupleRow]) -> None:
        connection.execute("UPDATE events_log SET registry_version = 7")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ingest.commit([append()], also=fail)
    assert world.rows("SELECT count(*) FROM events_event") == [(0,)]
    assert world.rows("SELECT registry_version FROM events_log") == [(0,)]
    assert seqs([append()]) == [1]


def test_a_commit_inside_a_transaction_is_refused(world: World) -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="outside of one"):
        ingest.commit([append()])
    assert world.rows("SELECT count(*) FROM events_event") == [(0,)]


def test_a_lost_connection_stores_nothing_and_the_next_commit_works(
    session: Session, world: World
) -> None:
    ingest.commit_group(session, [append()])
    pid = session.connection().info.backend_pid
    world.rows("SELECT pg_terminate_backend(%s, 5000)", pid)
    with pytest.raises(DatabaseUnavailable):
        ingest.commit_group(session, [append()])
    [outcome] = ingest.commit_group(session, [append()])
    assert outcome == Stored(outcome.event_id, "test", 2)  # type: ignore[union-attr]  # Stored, it says


def exchanges(session: Session, commands: list[Command]) -> int:
    """How often the commit waited for the server: the syncs in libpq's own trace."""
    raw = session.connection().pgconn
    with tempfile.TemporaryFile() as trace:
        raw.trace(trace.fileno())
        ingest.commit_group(session, commands)
        raw.untrace()
        trace.seek(0)
        lines = [line.split(b"\t") for line in trace.read().splitlines()]
    kinds = [line[-1] if len(line) < 4 else line[3] for line in lines if b"F" in line]
    return sum(kind.startswith((b"Sync", b"Query")) for kind in kinds)


def test_a_small_group_takes_two_round_trips(session: Session) -> None:
    for _ in range(2):  # the first ones prepare the statements
        ingest.commit_group(session, [append(event_id="d")])
    commands: list[Command] = [append(event_id="e"), append("b/y"), Delete("b/y")]
    assert exchanges(session, commands) == 2
    assert exchanges(session, [append(event_id="f")]) == 2
    assert exchanges(session, [append(event_id="g"), append(event_id="g")]) == 2
    # Nothing to write: the second one gives the lock back.
    assert exchanges(session, [append(event_id="f"), Delete("a/missing")]) == 2


def test_the_lock_comes_before_every_other(session: Session, world: World) -> None:
    pid = session.connection().info.backend_pid
    outcomes: list[object] = []

    def write() -> None:
        outcomes.extend(ingest.commit_group(session, [append()]))

    blocker = Session(name="a test blocks")
    with blocker.connection().transaction():
        blocker.connection().execute(
            "SELECT pg_advisory_xact_lock(%s)", (LOG_LOCK_KEY,)
        )
        writer = threading.Thread(target=write)
        writer.start()
        locks = "SELECT locktype, granted FROM pg_locks WHERE pid = %s"
        waiting = ("advisory", False)
        wait_for(lambda: waiting in world.rows(locks, pid), what="the writer to wait")
        others = [row for row in world.rows(locks, pid) if row[0] != "virtualxid"]
        assert others == [waiting]
        assert outcomes == []
    writer.join()
    blocker.drop()
    assert len(outcomes) == 1


def test_recorded_times_never_run_backwards(world: World) -> None:
    future = datetime.now(UTC) + timedelta(hours=1)
    Event.objects.create(
        seq=1,
        event_id="from a clock that was ahead",
        stream="s",
        source="s",
        namespace="a",
        entity_id="a/x",
        occurred_at=1,
        recorded_at=future,
        payload='{"entity_id":"a/x","properties":{}}',
    )
    ingest.commit([append("a/y")])
    ingest.commit([append("a/y")])
    times = world.rows("SELECT recorded_at FROM events_event ORDER BY seq")
    assert times == [(future,)] * 3


@pytest.mark.parametrize(
    "change", ["UPDATE events_event SET seq = 9", "DELETE FROM events_event"]
)
def test_the_log_refuses_every_change(world: World, change: str) -> None:
    ingest.commit([append()])
    with (
        django.cursor() as cursor,
        pytest.raises(Exception, match="append-only") as caught,
    ):
        cursor.execute(change)
    assert isinstance(caught.value.__cause__, psycopg.errors.InsufficientPrivilege)
    assert world.rows("SELECT seq FROM events_event") == [(1,)]


def test_the_log_refuses_to_be_emptied(world: World) -> None:
    """The tests lift this by name; as migrated, the trigger is on and refuses."""
    ingest.commit([append()])
    transaction.set_autocommit(False)
    try:
        with django.cursor() as cursor:
            cursor.execute(
                "ALTER TABLE events_event ENABLE TRIGGER events_event_no_truncate"
            )
            with pytest.raises(Exception, match="TRUNCATE refused"):
                cursor.execute("TRUNCATE events_event")
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)
    assert world.rows("SELECT seq FROM events_event") == [(1,)]


def updates(world: World) -> tuple[int, int]:
    """How many updates of entities there were, and how many of them were HOT."""
    query = (
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = %s"
    )
    total, hot = world.rows(query, "state_entity")[0]
    return total, hot


def test_updates_write_no_index(session: Session, world: World) -> None:
    """New versions go into their pages, or each write would cost index entries."""

    def write(rounds: int) -> tuple[int, int]:
        before = updates(world)
        for n in range(rounds):
            values = {"n": n, "t": "x" * 50}
            ingest.commit_group(session, [append(f"a/{k}", values) for k in range(300)])
        session.connection().execute("SELECT pg_stat_force_next_flush()")
        wait_for(lambda: updates(world)[0] >= before[0] + 300 * (rounds - 1), what="it")
        total, hot = updates(world)
        return total - before[0], hot - before[1]

    write(4)  # so many versions until every page has found its room
    total, hot = write(5)
    assert hot >= 0.95 * total, (hot, total)


def test_commands_of_many_kinds_answer_in_their_order(world: World) -> None:
    outcomes = ingest.commit(
        [append("a/x"), Delete("a/x"), Delete("a/x"), append("a/x")]
    )
    kinds = [type(one) for one in outcomes]
    assert kinds == [Stored, Stored, EntityNotFound, Stored]
