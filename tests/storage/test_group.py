"""One group of commands: each sees those before it; limits of an entity; deletes."""

import pytest

from events import envelope, ingest
from events.commands import Append, Command, Delete, Deleted, DeleteMatching, Stored
from events.group import EntityTooLarge, TooManyMatches
from state.selection import Selection
from tests.support.said import Values, World, append

MIB = 1 << 20
# `{"x": "…"}` takes nine bytes beside the text of x.
FULL = {"x": "x" * (4 * MIB - 9)}
NUMBER = b"""{"stream": "s", "source": "s", "payload":
 {"entity_id": "a/x", "properties": {"y": %b}}}"""
FULL_TWO = {"x": "x" * (4 * MIB - 9 - len(', "y": 1')), "y": 1}


def refused(command: Command) -> bool:
    [outcome] = ingest.commit([command])
    return isinstance(outcome, EntityTooLarge)


def many(first: int, behind: int) -> Values:
    return {f"p{number}": number for number in range(first, behind)}


def filled(world: World) -> None:
    """a/x with 19,999 properties."""
    for first in range(0, 20_000, 5_000):
        ingest.commit([append("a/x", many(first, min(first + 5_000, 19_999)))])
    assert len(world.get("a/x")["a/x"]["properties"]) == 19_999


def test_an_entity_holds_20000_properties_and_no_more(world: World) -> None:
    filled(world)
    assert refused(append("a/x", {"one": 1, "more": 2}))
    assert not refused(append("a/x", {"one": 1}))
    assert refused(append("a/x", {"more": 2}))
    assert not refused(append("a/x", {"one": 2, "p7": "again"}))
    assert refused(append("a/x", {"more": 2}, unset=("missing",)))
    assert not refused(append("a/x", {"more": 2}, unset=("one",)))
    assert len(world.get("a/x")["a/x"]["properties"]) == 20_000


def test_within_a_group_too(world: World) -> None:
    filled(world)
    outcomes = ingest.commit(
        [
            append("a/x", {"one": 1}),
            append("a/x", {"two": 2}),
            append("a/x", unset=("p0", "p1")),
            append("a/x", {"two": 2, "three": 3}),
            append("a/x", {"four": 4}),
            append("a/y", {"four": 4}),
            Delete("a/x"),
            append("a/x", many(0, 5_000)),
        ]
    )
    is_stored = [isinstance(outcome, Stored) for outcome in outcomes]
    assert is_stored == [True, False, True, True, False, True, True, True]
    assert len(world.get("a/x")["a/x"]["properties"]) == 5_000


def test_an_entity_takes_4_mib_and_not_a_byte_more(world: World) -> None:
    assert refused(append("a/x", {"x": FULL["x"] + "x"}))
    assert world.state() == {}
    assert not refused(append("a/x", FULL))
    assert world.rows("SELECT size FROM state_entity") == [(4 * MIB,)]
    assert refused(append("a/x", {"y": 1}))
    assert refused(append("a/x", {"x": FULL["x"] + "x"}))
    assert not refused(append("a/x", {"y": "y"}, unset=("x",)))
    assert not refused(append("a/x", FULL_TWO))
    assert refused(append("a/x", {"y": 12}))
    assert not refused(append("a/x", {"y": 2}))
    assert not refused(append("a/x", {}))


def test_the_size_is_that_of_the_stored_form(world: World) -> None:
    """Numbers grow: 1e300 takes five characters as sent and 301 as kept."""
    ingest.commit([append("a/x", {"x": "x" * (4 * MIB - 9 - len(', "y": ') - 301)})])
    assert refused(Append(envelope.parse(NUMBER % b"1e301")))
    assert not refused(Append(envelope.parse(NUMBER % b"1e300")))
    assert world.rows("SELECT size FROM state_entity") == [(4 * MIB,)]


def test_a_small_text_may_be_a_large_value(world: World) -> None:
    """120 kB as sent, 6 MB as kept: what was sent says too little."""
    numbers = b"[" + b",".join([b"1e308"] * 20_000) + b"]"
    assert refused(Append(envelope.parse(NUMBER % numbers)))


def test_a_tombstone_is_never_too_large(world: World) -> None:
    ingest.commit([append("a/x", FULL)])
    [outcome] = ingest.commit([append("a/x", {"__deleted__": True})])
    assert isinstance(outcome, Stored)
    assert world.state() == {}


def test_a_missing_entity_takes_a_tombstone_without_effect(world: World) -> None:
    ingest.commit([append("a/x", {"__deleted__": True, "n": 1})])
    assert world.state() == {}
    assert world.rows("SELECT count(*) FROM events_event") == [(1,)]
    assert world.rows("SELECT count(*) FROM state_count") == [(0,)]


def test_what_a_tombstone_ends_begins_afresh(world: World) -> None:
    gone: Values = {"__deleted__": True, "n": 7}
    ingest.commit([append("a/x", {"n": 1, "old": 1}), append("a/x", {"n": 2})])
    ingest.commit([append("a/x", gone), append("a/x", {"m": 1}), append("a/x")])
    found = world.state()["a/x"]
    assert (found["properties"], found["version"], found["seq"]) == ({"m": 1}, 2, 5)


def test_an_empty_event_makes_its_entity(world: World) -> None:
    ingest.commit([append("a/x", {})])
    assert world.state()["a/x"]["properties"] == {}


def test_within_one_event_unset_goes_before_properties(world: World) -> None:
    for entity in ("a/apart", "a/together"):
        commands: list[Command] = [
            append(entity, {"n": 1, "m": 1}),
            append(entity, {"n": 2}, unset=("n", "m")),
        ]
        groups = [commands] if entity == "a/together" else [[one] for one in commands]
        for group in groups:
            ingest.commit(group)
        assert world.state()[entity]["properties"] == {"n": 2}


def test_counters_follow_every_entity(world: World) -> None:
    ingest.commit([append("a/x"), append("a/y"), append("b/x"), append("x")])
    ingest.commit([Delete("a/x"), append("default/z"), append("b/x"), append("c/x")])
    ingest.commit([Delete("c/x"), append("d/x"), Delete("d/x")])
    counts = world.rows("SELECT namespace, entities FROM state_count ORDER BY 1")
    assert counts == [("a", 1), ("b", 1), ("c", 0), ("d", 0), ("default", 2)]


def delete(limit: int = 10, **selection: object) -> DeleteMatching:
    return DeleteMatching(Selection(**selection), limit)  # type: ignore[arg-type]  # its fields, each by name


def test_a_delete_sees_what_its_group_did_before(world: World) -> None:
    ingest.commit([append("a/stored"), append("a/gone"), append("b/x"), append("ab")])
    outcomes = ingest.commit(
        [
            append("a/new"),
            Delete("a/gone"),
            delete(namespace="a"),
            append("a/later"),
            delete(prefix="a/s"),
        ]
    )
    assert outcomes[2] == Deleted(2)
    assert outcomes[4] == Deleted(0)
    assert list(world.state()) == ["a/later", "ab", "b/x"]
    order = world.rows("SELECT entity_id FROM events_event WHERE seq > 4 ORDER BY seq")
    assert order == [("a/new",), ("a/gone",), ("a/new",), ("a/stored",), ("a/later",)]


def test_a_delete_by_ids_names_those_that_are_missing(world: World) -> None:
    ingest.commit([append("a/x"), append("a/y")])
    [outcome] = ingest.commit([delete(ids=("a/y", "a/missing", "a/x", "b"))])
    assert outcome == Deleted(2, ("a/missing", "b"))
    assert world.state() == {}


def test_a_delete_by_prefix_and_namespace(world: World) -> None:
    ids = ["a/x", "a/xy", "a/y", "ax", "b/x", "default/x", "A/x"]
    ingest.commit([append(entity) for entity in ids])
    assert ingest.commit([delete(prefix="a/x")]) == [Deleted(2)]
    assert ingest.commit([delete(namespace="default")]) == [Deleted(2)]
    assert list(world.state()) == ["A/x", "a/y", "b/x"]


@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_delete_beyond_its_limit_deletes_nothing(world: World, before: int) -> None:
    """`before` of the three matches are made by the group itself."""
    made = [append(f"a/{n}") for n in range(3)]
    if before < 3:
        ingest.commit(made[before:])
    *_, outcome = ingest.commit([*made[:before], delete(2, namespace="a")])
    assert isinstance(outcome, TooManyMatches)
    assert len(world.state()) == 3
    assert ingest.commit([delete(3, namespace="a")]) == [Deleted(3)]


def test_what_the_group_deleted_does_not_count_against_the_limit(world: World) -> None:
    ingest.commit([append(f"a/{n}") for n in range(5)])
    outcomes = ingest.commit(
        [Delete("a/0"), Delete("a/1"), Delete("a/2"), delete(2, namespace="a")]
    )
    assert outcomes[3] == Deleted(2)
    assert world.state() == {}


def test_nobody_deletes_the_directory(world: World) -> None:
    world.rows(
        "INSERT INTO state_entity (id, namespace, properties, version, seq, updated_at)"
        " VALUES ('flux-core/directory', 'flux-core', '{}', 1, 0, now()) RETURNING 1"
    )
    ingest.commit([append("flux")])
    assert ingest.commit([delete(prefix="flux")]) == [Deleted(1)]
    assert list(world.state()) == ["flux-core/directory"]
