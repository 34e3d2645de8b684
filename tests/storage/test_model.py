"""Random histories against a small model: equal states after each step (§2)."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from events import ingest
from events.commands import Command, Delete, Deleted, DeleteMatching, Stored
from flux_project import database
from namespaces import names
from state.selection import Selection
from state.store import EntityNotFound
from state.verify import verify
from tests.support import reset
from tests.support.said import Values, World, append

IDS = ["a/x", "a/y", "a/yy", "ab", "b/x", "default/x", "x", "ä/😀"]
KEYS = ["n", "m", "long name", "ü", "__deleted__"]

ids = st.sampled_from(IDS)
keys = st.sampled_from(KEYS)
values: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 1.5, 10**30, "", "ü\u2028", [1, {"n": []}], {}]
)
commands = st.one_of(
    st.builds(
        append,
        ids,
        st.dictionaries(keys, values, max_size=3),
        unset=st.lists(keys, max_size=2).map(tuple),
        event_id=st.none() | st.sampled_from(["e1", "e2", "e3", "e4"]),
    ),
    st.builds(append, ids, st.just({"__deleted__": True, "n": 1})),
    st.builds(Delete, ids),
    st.builds(
        DeleteMatching,
        st.one_of(
            st.builds(Selection, namespace=st.sampled_from(["a", "default", "none"])),
            st.builds(
                Selection, prefix=st.sampled_from(["a/y", "a", "x", "\U0010ffff"])
            ),
            st.builds(Selection, ids=st.lists(ids, unique=True).map(tuple)),
        ),
        st.sampled_from([2, 10]),
    ),
)


class Model:
    """Flux in a few lines: entities, their versions, and the ids that are known."""

    def __init__(self) -> None:
        self.entities: dict[str, Values] = {}
        self.versions: dict[str, int] = {}
        self.seqs: dict[str, int] = {}
        self.known: dict[tuple[str, str], int] = {}
        self.touched: set[str] = set()
        self.head = 0

    def do(self, command: Command) -> object:
        """The answer in short: a seq, ("again", seq), a count of deletes, or None."""
        if isinstance(command, Delete):
            return (
                self.delete(command.entity_id) if self.has(command.entity_id) else None
            )
        if isinstance(command, DeleteMatching):
            found = [one for one in self.order(command) if self.has(one)]
            if len(found) > command.limit:
                return None
            return len([self.delete(one) for one in found])
        event = command.event
        claim = (event.namespace, event.event_id)
        if event.digest and claim in self.known:
            return "again", self.known[claim]
        payload = json.loads(event.payload)
        seq = self.append(payload["entity_id"], payload)
        if event.digest:
            self.known[claim] = seq
        return seq

    def has(self, entity_id: str) -> bool:
        return entity_id in self.entities

    def order(self, command: DeleteMatching) -> list[str]:
        chosen = command.selection
        if chosen.ids is not None:
            return list(chosen.ids)
        return sorted(
            one
            for one in self.entities
            if chosen.namespace in {None, names.namespace_of(one)}
            and one.startswith(chosen.prefix or "")
        )

    def delete(self, entity_id: str) -> int:
        return self.append(entity_id, {"properties": {"__deleted__": True}})

    def append(self, entity_id: str, payload: Values) -> int:
        self.head += 1
        existed = self.has(entity_id)
        if payload["properties"].get("__deleted__") is True:
            for kept in (self.entities, self.versions, self.seqs):
                kept.pop(entity_id, None)
        else:
            entity = self.entities.setdefault(entity_id, {})
            for key in payload.get("unset", ()):
                entity.pop(key, None)
            entity.update(payload["properties"])
            self.versions[entity_id] = self.versions.get(entity_id, 0) + 1
            self.seqs[entity_id] = self.head
        if existed or self.has(entity_id):
            self.touched.add(names.namespace_of(entity_id))
        return self.head


def shortly(outcome: object) -> object:
    """What the model would have said."""
    if isinstance(outcome, Stored):
        return ("again", outcome.seq) if outcome.is_duplicate else outcome.seq
    return outcome.count if isinstance(outcome, Deleted) else None


class Histories(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.model = Model()
        self.world = World()

    @rule(group=st.lists(commands, min_size=1, max_size=6))
    def commit(self, group: list[Command]) -> None:
        outcomes = ingest.commit(group)
        for command, outcome in zip(group, outcomes, strict=True):
            expected = self.model.do(command)
            assert shortly(outcome) == expected, (command, outcome)
            if isinstance(command, Delete) and expected is None:
                assert isinstance(outcome, EntityNotFound)

    @rule(command=commands)
    def commit_one(self, command: Command) -> None:
        self.commit([command])

    @invariant()
    def the_state_is_the_models(self) -> None:
        found = self.world.state()
        assert {one: found[one]["properties"] for one in found} == self.model.entities
        assert {one: found[one]["version"] for one in found} == self.model.versions
        assert {one: found[one]["seq"] for one in found} == self.model.seqs
        assert list(found) == sorted(found)

    @invariant()
    def the_log_has_no_holes(self) -> None:
        [(count, first, last)] = self.world.rows(
            "SELECT count(*), coalesce(min(seq), 1), coalesce(max(seq), 0)"
            " FROM events_event"
        )
        assert (count, first, last) == (self.model.head, 1, self.model.head)

    @invariant()
    def the_counters_count(self) -> None:
        counts: dict[str, int] = dict.fromkeys(self.model.touched, 0)
        for entity_id in self.model.entities:
            counts[names.namespace_of(entity_id)] += 1
        found = self.world.rows("SELECT namespace, entities FROM state_count")
        assert dict(found) == counts

    def teardown(self) -> None:
        with database.connect(name="a test verifies") as connection:
            report = verify(connection, Quiet())
        self.world.close()
        reset.empty()
        assert report.differences == []


class Quiet:
    """Nobody watches."""

    def begin(self, what: str, *, total: int | None, unit: str) -> None:
        """Not shown."""

    def advance(self, amount: int) -> None:
        """Not shown."""


@pytest.mark.usefixtures("world")
def test_random_histories_give_what_the_model_says() -> None:
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=25,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def fold(texts: list[Any]) -> Values:
    """A helper of the table below: the properties that a list of events leaves."""
    model = Model()
    for text in texts:
        model.do(append("a/x", text))
    return model.entities["a/x"]


def test_the_model_is_no_mirror_of_the_code() -> None:
    """The examples of the contract, worked out by hand."""
    assert fold([{"a": {"b": 1}}, {"a": {"c": 2}}]) == {"a": {"c": 2}}
    assert fold([{"a": 1}, {"a": None}]) == {"a": None}
    assert fold([{"a": 1}, {"__deleted__": True}, {"b": 1}]) == {"b": 1}
    assert fold([{"a": 1}, {}]) == {"a": 1}
