"""Stretches of the log for listeners: bounded, and clear about how far they are all."""

import json
from collections.abc import Iterator

import pytest
from psycopg import Connection
from psycopg.rows import TupleRow

from events import follow, ingest, log
from events.commands import Append, Stored
from events.follow import Logged
from events.models import Event
from flux_project import database, pipeline
from state.selection import Selection
from tests.support.said import World, append

SELECTIONS = [
    Selection(),
    Selection(prefix="a/"),
    Selection(prefix="a/1"),
    Selection(namespace="b"),
    Selection(namespace="default"),
    Selection(ids=("a/1",)),
    Selection(ids=("a/none",)),
    Selection(prefix="none"),
]
every_selection = pytest.mark.parametrize("selection", SELECTIONS, ids=str)


@pytest.fixture
def connection(world: World) -> Iterator[Connection[TupleRow]]:
    with database.connect(name="a test follows", extra=database.BY_KEY) as opened:
        yield opened


def asked(
    connection: Connection[TupleRow],
    seq: int,
    upto: int,
    selection: Selection,
    **most_bytes: int,
) -> tuple[list[Logged], int]:
    call = follow.ask_after(seq, upto=upto, selection=selection, **most_bytes)
    [answer] = pipeline.run(connection, [call])
    return follow.after(answer, seq, upto=upto, selection=selection)


def followed(
    connection: Connection[TupleRow],
    upto: int,
    selection: Selection,
    **most_bytes: int,
) -> list[Logged]:
    """All there is up to a seq, stretch by stretch."""
    found: list[Logged] = []
    at = 0
    while at < upto:
        part, end = asked(connection, at, upto, selection, **most_bytes)
        assert end > at, "a stretch must lead on"
        assert all(at < one.seq <= end for one in part)
        found += part
        at = end
    assert at == upto
    return found


def write(count: int, *, text: str = "") -> None:
    """Events of four entities, in two namespaces and in none."""
    ids = ["a/1", "a/12", "b/1", "lone"]
    commands = [append(ids[n % 4], {"n": n, "text": text}) for n in range(count)]
    assert all(isinstance(one, Stored) for one in ingest.commit(commands))


@every_selection
@pytest.mark.parametrize("most", [1, 3, 10, 1_000])
def test_stretches_make_up_the_whole(
    connection: Connection[TupleRow],
    monkeypatch: pytest.MonkeyPatch,
    selection: Selection,
    most: int,
) -> None:
    monkeypatch.setattr(follow, "MOST_EVENTS", most)
    monkeypatch.setattr(follow, "WINDOW", 7)
    write(40)
    wanted = [
        seq
        for seq, entity_id in Event.objects.order_by("seq").values_list(
            "seq", "entity_id"
        )
        if seq <= 37 and selection.matches(entity_id)
    ]
    assert [one.seq for one in followed(connection, 37, selection)] == wanted


@every_selection
def test_large_events_come_in_small_stretches(
    connection: Connection[TupleRow], selection: Selection
) -> None:
    write(40, text="x" * 1_000)
    part, _ = asked(connection, 0, 40, selection, most_bytes=5_000)
    assert sum(len(one.properties) for one in part) < 7_000
    found = followed(connection, 40, selection, most_bytes=5_000)
    count = sum(selection.matches(entity) for entity in ["a/1", "a/12", "b/1", "lone"])
    assert len(found) == 10 * count


def test_one_event_larger_than_a_stretch_comes_alone(
    connection: Connection[TupleRow],
) -> None:
    write(3, text="x" * 1_000)
    assert asked(connection, 0, 3, Selection(), most_bytes=100)[1] == 1


def test_an_event_comes_as_it_was_said(connection: Connection[TupleRow]) -> None:
    properties = {"x": None, "y": [1]}
    said: Append = append("a/é", properties, unset=("z", "z", "y"), event_id="e1")
    ingest.commit([said, append("a/é", {"__deleted__": True, "w": 1})])
    first, last = followed(connection, 2, Selection())
    assert (first.seq, first.event_id, first.namespace) == (1, "e1", "a")
    assert (first.entity_id, first.source) == ("a/é", "a test")
    assert json.loads(first.properties) == properties
    assert (first.unset, first.is_tombstone) == (("z", "y"), False)
    assert last.is_tombstone
    assert first.recorded_at == last.recorded_at
    stored = Event.objects.get(seq=1).recorded_at
    assert first.recorded_at == round(stored.timestamp() * 1_000_000)


def test_the_pulse_tells_this_log_from_another(
    connection: Connection[TupleRow],
) -> None:
    def beat(at: int) -> follow.Pulse:
        [answer] = pipeline.run(connection, [follow.ask_pulse(at)])
        return follow.pulse(answer)

    assert (beat(0).seq, beat(0).event_id) == (0, None)
    ingest.commit([append("a/x", event_id="first"), append("a/x", event_id="second")])
    assert (beat(1).seq, beat(1).event_id) == (2, "first")
    assert beat(9).event_id is None
    [answer] = pipeline.run(connection, [log.HEAD])
    assert beat(1).log_id == log.head(answer).log_id
