"""`flux_rebuild`: a new state from the log, beside readers and writers."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from events import audit, ingest
from events.commands import Command, Delete, Stored
from flux_project import database
from flux_project.database import Session
from state import directory, rebuild
from state.rebuild import ObjectsDepend, RebuildRunning, Rebuilt, TablesInUse
from state.verify import Report, verify
from tests.support.said import World, append


class Quiet:
    """Nobody watches."""

    def begin(self, what: str, *, total: int | None, unit: str) -> None:
        """Not shown."""

    def advance(self, amount: int) -> None:
        """Not shown."""


def rebuilt() -> Rebuilt:
    return rebuild.rebuild(Quiet())


def verified() -> Report:
    with database.connect(name="a test verifies") as connection:
        return verify(connection, Quiet())


@pytest.fixture
def history(world: World) -> World:
    ingest.commit([append("a/x", {"n": 1.10, "m": None}), append("a/y"), append("x")])
    ingest.commit([append("a/x", {"n": 2}, unset=("m",)), Delete("a/y"), append("b/x")])
    ingest.commit([append("b/x", {"n": {"deep": [1]}}), append("c/x"), Delete("c/x")])
    return world


def everything(world: World) -> dict[str, list[Any]]:
    return {
        table: world.rows(f"SELECT * FROM {table} ORDER BY 1")
        for table in ("state_entity", "state_count")
    }


def workplaces(world: World) -> int:
    return len(world.rows("SELECT 1 FROM pg_namespace WHERE nspname LIKE 'flux%%'"))


def damage(world: World) -> None:
    world.rows("DELETE FROM state_entity WHERE id = 'a/x' RETURNING 1")
    world.rows("UPDATE state_entity SET properties = '{}', version = 9 RETURNING 1")
    world.rows("UPDATE state_count SET entities = 7 RETURNING 1")
    world.rows(
        "INSERT INTO state_entity (id, namespace, properties, version, seq, updated_at)"
        " VALUES ('z', 'z', '{}', 1, 1, now()) RETURNING 1"
    )


@pytest.mark.parametrize("rows", [1, 2, 2_000])
def test_whatever_was_damaged_is_as_the_log_says(
    history: World, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(audit, "ROWS", rows)
    before = everything(history)
    damage(history)
    done = rebuilt()
    assert everything(history) == before
    assert (done.seq, done.entities) == (9, 3)
    assert verified().differences == []
    assert workplaces(history) == 0


def test_an_empty_log_gives_an_empty_state(world: World) -> None:
    damage(world)
    assert rebuilt().entities == 0
    assert world.state() == {}


def test_the_directory_moves_over_untouched(history: World) -> None:
    with database.connect(name="a test") as connection:
        directory.refresh(connection)
    before = history.get("flux-core/directory")
    rebuilt()
    assert before
    assert history.get("flux-core/directory") == before


CATALOG = {
    "columns": "SELECT attrelid::regclass::text, attname, atttypid::regtype::text,"
    " attnotnull, attcollation, attstorage::text, attcompression::text, attgenerated,"
    " pg_get_expr(adbin, adrelid) FROM pg_attribute LEFT JOIN pg_attrdef"
    " ON adrelid = attrelid AND adnum = attnum WHERE attnum > 0"
    " AND attrelid::regclass::text LIKE 'state\\_%%'",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes"
    " WHERE tablename LIKE 'state\\_%%'",
    "constraints": "SELECT conrelid::regclass::text, conname, contype,"
    " pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE conrelid::regclass::text LIKE 'state\\_%%'",
    "tables": "SELECT relname, relnamespace::regnamespace::text, relkind,"
    " relpersistence, reloptions, relowner::regrole::text, relacl::text"
    " FROM pg_class WHERE relname LIKE 'state\\_%%'",
}


def test_the_new_tables_are_like_the_old_ones(history: World) -> None:
    with database.connect(name="a test") as connection:
        connection.execute("GRANT SELECT ON state_entity, state_count TO PUBLIC")
        before = {
            what: sorted(map(str, history.rows(CATALOG[what]))) for what in CATALOG
        }
        rebuilt()
        after = {
            what: sorted(map(str, history.rows(CATALOG[what]))) for what in CATALOG
        }
        connection.execute("REVOKE ALL ON state_entity, state_count FROM PUBLIC")
    # Earlier rebuilds made these tables too, so being equal alone says too little.
    for made in ("=r/", "fillfactor=50", "fillfactor=70"):
        assert made in str(before["tables"])
    assert after == before
    call_command("makemigrations", check=True, dry_run=True, stdout=StringIO())


def write(until: threading.Event, number: int, faults: list[BaseException]) -> None:
    """Commits as a server does, on one connection with its prepared statements."""
    session = Session(name="a test writes")
    try:
        for turn in iter(int, 1):
            if until.is_set():
                break
            entity = f"{'abc'[turn % 3]}/{number}-{turn % 11}"
            commands: list[Command] = [append(entity, {"n": turn}), append("hot")]
            if turn % 5 == 0:
                commands.append(Delete(entity))
            [first, *_] = ingest.commit_group(session, commands)
            assert isinstance(first, Stored)
    except BaseException as fault:
        faults.append(fault)
        raise
    finally:
        session.drop()


def read(until: threading.Event, faults: list[str]) -> None:
    """An entity that is always there is there in every read, and never goes back."""
    looking = World()
    last = 0
    while not until.is_set():
        state = looking.state()
        seq = state["hot"]["seq"] if "hot" in state else 0
        if "steady" not in state or seq < last:
            faults.append(f"{list(state)[:3]}, {seq} behind {last}")
        last = seq
    looking.close()


@contextmanager
def traffic() -> Iterator[list[Any]]:
    """Writers and a reader, as long as it lasts; what went wrong with them."""
    until = threading.Event()
    faults: list[Any] = []
    threads = [
        threading.Thread(target=write, args=(until, n, faults)) for n in range(2)
    ]
    threads.append(threading.Thread(target=read, args=(until, faults)))
    for thread in threads:
        thread.start()
    try:
        yield faults
    finally:
        until.set()
        for thread in threads:
            thread.join()


def test_readers_and_writers_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "ROWS", 50)
    monkeypatch.setattr(rebuild, "LAST_EVENTS", 5)
    ingest.commit([append("steady", {"n": 1})])
    with traffic() as faults:
        done = [rebuilt() for _ in range(3)]
        time.sleep(0.2)
    assert faults == []
    report = verified()
    assert report.differences == []
    assert done[0].seq < done[1].seq < done[2].seq < report.events
    assert workplaces(world) == 0


def test_what_was_written_meanwhile_is_caught_up(
    history: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the pass over the log and the exchange everything may happen."""
    monkeypatch.setattr(rebuild, "LAST_EVENTS", 2)
    monkeypatch.setattr(audit, "ROWS", 3)
    derive = rebuild._derive

    def derive_and_write(*arguments: Any) -> None:
        derive(*arguments)
        ingest.commit([append("a/x", {"n": 3}, unset=("n",)), append("d/x", {"n": 1})])
        ingest.commit([Delete("b/x"), append("b/x", {"m": 1}), append("d/y")])
        ingest.commit([Delete("d/y"), Delete("x"), append("e/x"), append("a/x")])

    monkeypatch.setattr(rebuild, "_derive", derive_and_write)
    assert rebuilt().seq == 18
    assert verified().differences == []
    assert list(history.state()) == ["a/x", "b/x", "d/x", "e/x"]


@pytest.mark.parametrize("step", ["_derive", "_catch_up", "_exchange", "_apply"])
def test_interrupted_it_leaves_everything_as_it_was(
    history: World, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    damage(history)
    before = everything(history)
    derive, original = rebuild._derive, getattr(rebuild, step)

    def derive_and_write(*arguments: Any) -> None:
        derive(*arguments)
        ingest.commit([append("new/x")])
        history.rows("DELETE FROM state_entity WHERE id = 'new/x' RETURNING 1")
        history.rows("DELETE FROM state_count WHERE namespace = 'new' RETURNING 1")

    def interrupt(*arguments: Any) -> None:
        original(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(rebuild, "_derive", derive_and_write)
    monkeypatch.setattr(rebuild, step, interrupt)
    with pytest.raises(KeyboardInterrupt):
        rebuilt()
    assert workplaces(history) == 0
    if step != "_exchange":  # interrupted behind it, the work is done
        assert everything(history) == before
    monkeypatch.undo()
    rebuilt()
    assert verified().differences == []


def test_what_a_killed_run_left_is_removed(history: World) -> None:
    with database.connect(name="a test") as connection:
        connection.execute("CREATE SCHEMA flux_rebuild")
        connection.execute("CREATE TABLE flux_rebuild.state_entity (id int)")
    rebuilt()
    assert workplaces(history) == 0
    assert verified().differences == []


def test_two_at_once_are_refused(history: World) -> None:
    with database.connect(name="a test") as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (rebuild._LOCK_KEY,))
        with pytest.raises(RebuildRunning):
            rebuilt()
    before = everything(history)
    rebuilt()
    assert everything(history) == before


def test_a_view_that_somebody_made_is_named(history: World) -> None:
    before = everything(history)
    with database.connect(name="a test") as connection:
        connection.execute("CREATE VIEW made_by_hand AS SELECT id FROM state_entity")
        try:
            with pytest.raises(ObjectsDepend, match="made_by_hand"):
                rebuilt()
        finally:
            connection.execute("DROP VIEW made_by_hand")
    assert everything(history) == before
    assert workplaces(history) == 0


def test_an_open_transaction_is_not_waited_for_for_ever(
    history: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "EXCHANGE_MS", 50)
    monkeypatch.setattr(rebuild, "ATTEMPTS", 2)
    monkeypatch.setattr(rebuild, "_PAUSE_SECONDS", 0.01)
    before = everything(history)
    with database.connect(name="a test") as connection, connection.transaction():
        connection.execute("SELECT 1 FROM state_entity LIMIT 1")
        with pytest.raises(TablesInUse):
            rebuilt()
        ingest.commit([append("new/x")])
    assert everything(history) != before
    rebuilt()
    assert verified().differences == []


def test_a_reader_that_ends_soon_is_waited_for(
    history: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "EXCHANGE_MS", 50)
    monkeypatch.setattr(rebuild, "_PAUSE_SECONDS", 0.05)
    reading = database.connect(name="a test")
    reading.execute("BEGIN")
    reading.execute("SELECT 1 FROM state_entity LIMIT 1")
    soon = threading.Timer(0.4, reading.close)
    soon.start()
    damage(history)
    rebuilt()
    soon.join()
    assert verified().differences == []


def test_the_command_says_what_it_did(history: World) -> None:
    out = StringIO()
    call_command("flux_rebuild", stdout=out)
    assert out.getvalue().startswith(
        "3 entities derived from 9 events are in place; writers waited "
    )
