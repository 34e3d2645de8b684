"""`flux_verify` finds every way in which log and state can differ, and nothing else."""

import json
import threading
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from events import audit, ingest
from events.commands import Command, Delete
from flux_project import database
from flux_project.database import Session
from state import directory
from state.management.commands.flux_verify import shorten
from state.verify import Difference, Report, verify
from tests.support.said import Values, World, append


class Quiet:
    """Nobody watches."""

    def begin(self, what: str, *, total: int | None, unit: str) -> None:
        """Not shown."""

    def advance(self, amount: int) -> None:
        """Not shown."""


def verified() -> Report:
    with database.connect(name="a test verifies") as connection:
        return verify(connection, Quiet())


@pytest.fixture
def history(world: World) -> World:
    """Twelve events of four namespaces: sets, unsets, deletes, given ids."""
    numbers = {"number": 1, "text": "ü", "deep": {"a": [1, 2]}}
    ingest.commit([append("a/x", numbers), append("a/y", {"n": 1}, event_id="mine")])
    ingest.commit([append("a/x", {"n": 2}, unset=("text",)), append("x", {"n": 1})])
    ingest.commit([append("b/x"), Delete("b/x"), append("c/x", {"__deleted__": True})])
    ingest.commit([append("a/z", {"n": 1}), append("d/x"), append("d/y")])
    ingest.commit([Delete("a/z"), append("a/x", {"last": None})])
    return world


def test_what_was_committed_follows_from_the_log(history: World) -> None:
    report = verified()
    assert report.differences == []
    assert (report.events, report.entities, report.faults) == (12, 5, 0)
    assert (report.namespaces, report.known_ids) == (4, 1)


def test_an_empty_log_gives_an_empty_state(world: World) -> None:
    report = verified()
    assert (report.events, report.entities, report.faults) == (0, 0, 0)


ENTITY = "UPDATE state_entity SET %s WHERE id = 'a/x'"
INSERTED = (
    "INSERT INTO state_entity (id, namespace, properties, version, seq, updated_at)"
    " VALUES (%s, 'a', '{}', 1, 1, now())"
)
DAMAGES = {
    "a value": (ENTITY % """properties = properties || '{"n": 3}'""", "properties"),
    "a digit": (ENTITY % """properties = properties || '{"n": 2.0}'""", "properties"),
    "a key": (ENTITY % "properties = properties - 'last'", "properties"),
    "a namespace": (ENTITY % "namespace = 'b'", "namespace"),
    "a version": (ENTITY % "version = version + 1", "version"),
    "a place": (ENTITY % "seq = seq - 1", "seq"),
    "a time": (ENTITY % "updated_at = updated_at + interval '1us'", "updated_at"),
    "a lost row": ("DELETE FROM state_entity WHERE id = 'a/x'", "row"),
    "a lost first row": ("DELETE FROM state_entity WHERE id = 'a/x'", "row"),
    "a lost last row": ("DELETE FROM state_entity WHERE id = 'x'", "row"),
    "a deleted row": (INSERTED % "'a/z'", "row"),
    "a first row": (INSERTED % "'A'", "row"),
    "a row between": (INSERTED % "'a/xx'", "row"),
    "a last row": (INSERTED % "'z'", "row"),
    "a row beside the directory": (
        (INSERTED % "'flux-core/x'").replace("'a'", "'flux-core'"),
        "row",
    ),
    "a count": (
        "UPDATE state_count SET entities = 3 WHERE namespace = 'a'",
        "entities",
    ),
    "the time of a count": (
        "UPDATE state_count SET updated_at = now() WHERE namespace = 'b'",
        "updated_at",
    ),
    "a lost count": ("DELETE FROM state_count WHERE namespace = 'b'", "row"),
    "an added count": ("INSERT INTO state_count VALUES ('z', 0, now())", "row"),
    "a known id's place": ("UPDATE events_idempotency SET seq = 1", "known id"),
    "a place beyond the log": ("UPDATE events_idempotency SET seq = 99", "known id"),
    "a known id's stream": ("UPDATE events_idempotency SET stream = 's'", "known id"),
    "a forgotten id": ("DELETE FROM events_idempotency", "known id"),
    "an unknown id": (
        "INSERT INTO events_idempotency VALUES (sha256('x'), 1, 'test')",
        "known id",
    ),
}


@pytest.mark.parametrize("rows", [2, 2_000])
@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_is_found(
    history: World, damage: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "ROWS", rows)
    monkeypatch.setattr(audit, "CHECKED_ROWS", rows)
    change, column = DAMAGES[damage]
    history.rows(f"{change} RETURNING 1")
    report = verified()
    assert report.faults == 1
    # The size is made from the properties, so it differs with them alone.
    assert {one.column for one in report.differences} - {"size"} == {column}


LOGGED = (
    "INSERT INTO events_event SELECT %s, 'e', 's', 's', NULL, NULL, 'e', 'e/x', 1,"
    ' %s, NULL, \'{"entity_id":"e/x","properties":{"__deleted__":true}}\''
    " FROM events_event WHERE seq = 12 RETURNING 1"
)


def test_a_hole_in_the_log_is_found(history: World) -> None:
    ingest.commit([append("e/x", event_id="e"), Delete("e/x")])
    history.rows(LOGGED % (17, "recorded_at + interval '1h'"))
    report = verified()
    assert [one.column for one in report.differences] == ["seq"]
    assert report.differences[0].where == "event 17"


def test_a_time_that_runs_backwards_is_found(history: World) -> None:
    ingest.commit([append("e/x", event_id="e")])
    ingest.commit([Delete("e/x")])
    history.rows(LOGGED % (15, "recorded_at - interval '1h'"))
    assert [one.column for one in verified().differences] == ["recorded_at"]


def test_an_event_whose_effect_is_missing_is_found(history: World) -> None:
    history.rows((LOGGED % (13, "now()")).replace('"__deleted__":true', '"n":1'))
    found = {(one.where, one.column) for one in verified().differences}
    assert found == {
        ("event 13", "known id"),
        ("entity e/x", "row"),
        ("namespace e", "row"),
    }


def test_a_lost_state_is_counted_and_its_first_differences_named(world: World) -> None:
    ingest.commit([append(f"a/{n:03}") for n in range(300)])
    world.rows("DELETE FROM state_entity RETURNING 1")
    report = verified()
    assert report.faults == 300
    assert [one.where for one in report.differences] == [
        f"entity a/{n:03}" for n in range(20)
    ]


def test_the_directory_is_no_part_of_it(history: World) -> None:
    with database.connect(name="a test") as connection:
        directory.refresh(connection)
    assert "flux-core/directory" in history.state()
    assert verified().faults == 0


@pytest.mark.parametrize(("rows", "size"), [(1, 4 << 20), (2, 4 << 20), (2_000, 1)])
def test_where_pages_end_makes_no_difference(
    history: World, monkeypatch: pytest.MonkeyPatch, rows: int, size: int
) -> None:
    monkeypatch.setattr(audit, "ROWS", rows)
    monkeypatch.setattr(audit, "BYTES", size)
    monkeypatch.setattr(audit, "CHECKED_ROWS", rows + 1)
    report = verified()
    assert report.differences == []
    assert (report.events, report.entities, report.namespaces) == (12, 5, 4)


def write(until: threading.Event, number: int) -> None:
    """Makes, changes and deletes a few entities all the while."""
    session = Session(name="a test writes")
    turn = 0
    while not until.is_set():
        turn += 1
        commands: list[Command] = [
            append(f"{'abc'[turn % 3]}/{(turn * k) % 17}", {"n": turn})
            for k in range(5)
        ]
        commands.append(Delete(f"{'abc'[turn % 3]}/{turn % 17}"))
        ingest.commit_group(session, commands)
    session.drop()


def test_writers_in_between_are_no_difference(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "ROWS", 40)
    until = threading.Event()
    writers = [threading.Thread(target=write, args=(until, n)) for n in range(2)]
    for writer in writers:
        writer.start()
    try:
        reports = [verified() for _ in range(6)]
    finally:
        until.set()
        for writer in writers:
            writer.join()
    assert [report.differences for report in reports] == [[]] * 6
    assert reports[-1].events > reports[0].events


def test_it_may_run_twice_on_one_connection(history: World) -> None:
    with database.connect(name="a test verifies") as connection:
        assert verify(connection, Quiet()).faults == 0
        assert verify(connection, Quiet()).faults == 0


def run(*arguments: str) -> tuple[int, str]:
    """The command's exit status and what it printed."""
    out = StringIO()
    status = 0
    try:
        call_command("flux_verify", *arguments, stdout=out)
    except SystemExit as end:
        status = int(end.code or 0)
    return status, out.getvalue()


def test_the_command_says_that_all_is_well(history: World) -> None:
    status, said = run()
    assert status == 0
    assert said.strip() == (
        "12 events, 5 entities, 4 namespaces and 1 client-given ids were compared."
        " No difference."
    )


def test_the_command_names_the_first_differences(history: World) -> None:
    history.rows(DAMAGES["a value"][0] + " RETURNING 1")
    status, said = run()
    assert status == 1
    assert "entity a/x, properties:" in said
    assert '"n": 2' in said
    assert '"n": 3' in said


def test_the_command_speaks_json(history: World) -> None:
    status, said = run("--json")
    report: Values = json.loads(said)
    assert status == 0
    assert (report["events"], report["faults"], report["differences"]) == (12, 0, [])
    history.rows(DAMAGES["a version"][0] + " RETURNING 1")
    status, said = run("--json")
    [difference] = json.loads(said)["differences"]
    assert status == 1
    assert difference == {
        "where": "entity a/x",
        "column": "version",
        "expected": "3",
        "stored": "4",
    }
    with pytest.raises(CommandError):
        run("--unknown")


def test_long_values_are_shown_around_where_they_differ() -> None:
    same = "s" * 500
    expected, stored = shorten(Difference("x", "y", same + "A" * 90, same + "B"))
    assert expected == "…" + "s" * 20 + "A" * 40 + "…"
    assert stored == "…" + "s" * 20 + "B"
    assert shorten(Difference("x", "y", None, "there")) == ("(nothing)", "there")
