"""The use of each namespace and hour: every event once, whatever happens meanwhile."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import coolname
import psycopg
import pytest
from coolname.data import config as parts_of_coolname
from django.db import connection as django_connection
from psycopg import Connection, errors
from psycopg.rows import TupleRow

from events import ingest, usage
from flux_project import database, metrics
from namespaces import levels, names, naming
from namespaces.models import Namespace
from tests.support import session
from tests.support.client import ADMIN_HEADER, Api, event
from tests.support.said import World, append
from tests.support.servers import Server, wait_for

HOUR = datetime(2026, 3, 1, 10, tzinfo=UTC)
_LOGGED = """
INSERT INTO events_event (seq, event_id, stream, source, namespace, entity_id,
                          occurred_at, recorded_at, payload)
SELECT %(first)s + n, 'e' || %(first)s + n, 's', 's', %(namespace)s,
       %(namespace)s || '/x', 0, %(at)s, '{}'
FROM generate_series(0, %(events)s - 1) AS n
"""


@pytest.fixture(autouse=True)
def _nothing_refused() -> Iterator[None]:
    levels.take_refusals(levels.MOST_KNOWN)
    yield
    levels.take_refusals(levels.MOST_KNOWN)


@pytest.fixture
def connection(world: World) -> Iterator[Connection[TupleRow]]:
    with database.connect(name="a test") as found:
        yield found


def logged(
    connection: Connection[TupleRow], namespace: str, events: int, at: datetime = HOUR
) -> None:
    """The log has so many more events, recorded at a time of the test's own."""
    row = connection.execute("SELECT coalesce(max(seq), 0) FROM events_event")
    [(last,)] = row.fetchall()
    given = {"first": last + 1, "namespace": namespace, "events": events, "at": at}
    connection.execute(_LOGGED, given)


def counted(world: World) -> dict[tuple[str, datetime], int]:
    rows = world.rows("SELECT namespace, hour, events FROM namespaces_usage")
    return {(namespace, hour): events for namespace, hour, events in rows}


def refused(world: World) -> dict[str, int]:
    rows = world.rows("SELECT namespace, sum(refused) FROM namespaces_usage GROUP BY 1")
    return {namespace: int(total) for namespace, total in rows if total}


def cursor(world: World) -> int:
    [(seq,)] = world.rows("SELECT seq FROM namespaces_usagecursor")
    return int(seq)


def test_events_are_counted_by_namespace_and_hour(
    world: World, connection: Connection[TupleRow]
) -> None:
    logged(connection, "reef", 3)
    logged(connection, "dune", 1, HOUR + timedelta(minutes=59, seconds=59))
    logged(connection, "reef", 2, HOUR + timedelta(hours=1))
    usage.keep_up(connection)
    expected = {
        ("reef", HOUR): 3,
        ("dune", HOUR): 1,
        ("reef", HOUR + timedelta(hours=1)): 2,
    }
    assert counted(world) == expected
    logged(connection, "reef", 4, HOUR + timedelta(hours=1))
    usage.keep_up(connection)
    usage.keep_up(connection)
    expected["reef", HOUR + timedelta(hours=1)] = 6
    assert counted(world) == expected
    assert cursor(world) == 10


def test_what_is_committed_is_counted_in_its_hour(
    world: World, connection: Connection[TupleRow]
) -> None:
    ingest.commit([append("reef/x"), append("reef/y"), append("plain")])
    usage.keep_up(connection)
    totals = {namespace: events for (namespace, _), events in counted(world).items()}
    assert totals == {"reef": 2, names.DEFAULT_NAMESPACE: 1}
    [(hour,)] = world.rows(
        "SELECT date_trunc('hour', min(recorded_at), 'UTC') FROM events_event"
    )
    assert hour in {hour for _, hour in counted(world)}


def test_who_is_behind_counts_one_stretch_after_the_other(
    world: World, connection: Connection[TupleRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "STRETCH_EVENTS", 100)
    logged(connection, "reef", 150)
    logged(connection, "dune", 101)
    assert [usage.count(connection) for _ in range(4)] == [100, 100, 51, 0]
    assert counted(world) == {("reef", HOUR): 150, ("dune", HOUR): 101}


def test_a_round_goes_on_while_it_is_behind_but_not_for_long(
    world: World, connection: Connection[TupleRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "STRETCH_EVENTS", 10)
    monkeypatch.setattr(usage, "BUSY_SECONDS", 0.0)
    logged(connection, "reef", 35)
    usage.keep_up(connection)
    assert cursor(world) == 10
    monkeypatch.setattr(usage, "BUSY_SECONDS", 60.0)
    usage.keep_up(connection)
    assert cursor(world) == 35


def test_counts_and_cursor_are_kept_together_or_not_at_all(
    world: World, connection: Connection[TupleRow]
) -> None:
    logged(connection, "reef", 5)
    with connection.transaction(force_rollback=True):
        assert usage.count(connection) == 5
    assert (counted(world), cursor(world)) == ({}, 0)
    assert usage.count(connection) == 5
    assert (counted(world), cursor(world)) == ({("reef", HOUR): 5}, 5)


def test_one_process_at_a_time_counts(
    world: World, connection: Connection[TupleRow]
) -> None:
    logged(connection, "reef", 5)
    with database.connect(name="another process") as other, other.transaction():
        assert usage.count(other) == 5
        assert usage.count(connection) == 0
        assert cursor(world) == 0
    assert usage.count(connection) == 0
    assert counted(world) == {("reef", HOUR): 5}


def test_however_many_count_while_others_write_each_event_counts_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "STRETCH_EVENTS", 7)
    is_over = threading.Event()
    faults: list[BaseException] = []

    def keep_up() -> None:
        try:
            with database.connect(name="a counter") as mine:
                while not is_over.is_set():
                    usage.keep_up(mine)
        except BaseException as error:  # noqa: BLE001  for the test to show
            faults.append(error)

    counters = [threading.Thread(target=keep_up) for _ in range(3)]
    for one in counters:
        one.start()
    try:
        for number in range(60):
            levels.give_back({f"space-{number % 4}": 1})
            ingest.commit([append(f"space-{number % 4}/x")] * 5)
        wait_for(lambda: cursor(world) == 300, what="all to be counted", seconds=20)
    finally:
        is_over.set()
        for one in counters:
            one.join(timeout=20)
    assert faults == []
    assert sum(counted(world).values()) == 300
    assert refused(world) == {f"space-{number}": 15 for number in range(4)}


def test_refused_writes_are_added_to_the_current_hour(
    world: World, connection: Connection[TupleRow]
) -> None:
    before = metrics.RATE_LIMITED._value.get()
    levels.count_refusals({"reef": 3})
    levels.count_refusals({"reef": 1, "dune": 1})
    usage.keep_up(connection)
    usage.keep_up(connection)
    assert refused(world) == {"reef": 4, "dune": 1}
    levels.count_refusals({"reef": 1})
    usage.keep_up(connection)
    assert refused(world) == {"reef": 5, "dune": 1}
    [(now,)] = world.rows("SELECT date_trunc('hour', now(), 'UTC')")
    assert now in {hour for _, hour in counted(world)}
    assert metrics.RATE_LIMITED._value.get() == before + 6


def test_refused_writes_that_could_not_be_added_are_kept(
    world: World, connection: Connection[TupleRow]
) -> None:
    levels.give_back({"reef": 2})
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL transaction_read_only = on")
        with pytest.raises(errors.ReadOnlySqlTransaction), connection.transaction():
            usage.add_refused(connection)
        levels.give_back({"reef": 1, "dune": 4})
    usage.keep_up(connection)
    assert refused(world) == {"reef": 3, "dune": 4}


def test_more_namespaces_than_one_statement_takes_are_all_added(
    world: World, connection: Connection[TupleRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "MOST_REFUSED", 3)
    given = {f"space-{number}": number for number in range(1, 11)}
    levels.give_back(given)
    usage.keep_up(connection)
    assert refused(world) == given


def test_hours_of_long_ago_are_forgotten(
    world: World, connection: Connection[TupleRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "MOST_PRUNED", 2)
    now = datetime.now(tz=UTC).replace(minute=0, second=0, microsecond=0)
    kept = now - timedelta(days=usage.KEPT_DAYS - 1)
    for days in (1, 2, 3):
        logged(connection, "reef", days, kept - timedelta(days=1 + days))
    logged(connection, "reef", 9, kept)
    of_this_process = usage.Usage()
    of_this_process.keep_up(connection)
    assert len(counted(world)) == 2, "a part at a time"
    of_this_process.keep_up(connection)
    assert counted(world) == {("reef", kept): 9}


def test_a_proposed_name_is_free_and_valid(database: None) -> None:
    proposed = {naming.propose() for _ in range(20)}
    assert len(proposed) > 10
    for name in proposed:
        assert names.checked_name(name) == name
        assert name.count("-") == 1


def test_words_that_do_not_suit_are_left_out() -> None:
    parts: dict[str, Any] = parts_of_coolname
    known = {
        word
        for part in parts.values()
        if part["type"] == "words"
        for word in part["words"]
    }
    assert known >= naming.LEFT_OUT, "words that the library does not have"
    assert not naming.is_suited("sexy-lynx")
    assert not naming.is_suited("dawn-hog")
    assert not naming.is_suited("premium-coral")
    drawn = [coolname.generate_slug(2) for _ in range(2_000)]
    assert sum(map(naming.is_suited, drawn)) > 1_000


def test_no_name_is_proposed_that_somebody_has_or_had(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter(["dawn-coral", "high-tide"] * 200)
    monkeypatch.setattr(coolname, "generate_slug", lambda _: next(drawn))
    gone = datetime(2026, 1, 1, tzinfo=UTC)
    Namespace.objects.create(id="ns_1", name="dawn-coral", deleted_at=gone, version=1)
    assert naming.propose() == "high-tide"
    Namespace.objects.create(id="ns_2", name="high-tide", version=2)
    with pytest.raises(naming.NoNameLeft):
        naming.propose()


@pytest.mark.parametrize("mode", ["false", "true"])
def test_a_server_counts_what_it_stores_and_what_it_refuses(
    start_server: Callable[..., Server], api_database: str, mode: str
) -> None:
    api = Api(start_server(FLUX_AUTH_ENABLED=mode).port)
    space = f"usage-of-{mode}"
    headers = {}
    if mode == "true":
        made = api.post("/api/namespaces", {"name": space}, authorization=ADMIN_HEADER)
        headers["authorization"] = f"Bearer {made.json['token']}"
    events = [event(f"{space}/x", {"n": n}) for n in range(11_000)]
    answer = api.post("/api/events/batch", {"events": events}, **headers)
    stored, failed = answer.json["successful"], answer.json["failed"]
    assert (failed > 0) is (mode == "true"), "10,000 a minute are the default"

    with psycopg.connect(session.database_url(api_database), autocommit=True) as asked:

        def totals() -> tuple[int, int]:
            found = asked.execute(
                "SELECT coalesce(sum(events), 0), coalesce(sum(refused), 0)"
                " FROM namespaces_usage WHERE namespace = %s",
                (space,),
            ).fetchone()
            assert found is not None
            return int(found[0]), int(found[1])

        wait_for(lambda: totals() == (stored, failed), what="usage", seconds=20)
    api.close()


def test_the_search_for_old_hours_uses_an_index(database: None) -> None:
    with django_connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute("EXPLAIN " + usage._PRUNE, {"days": 400, "most": 10})
        plan = "\n".join(row[0] for row in cursor.fetchall())
        cursor.execute("RESET enable_seqscan")
    assert "namespaces_usage_hour" in plan
