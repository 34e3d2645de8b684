"""However events are folded and taken out, who reads that ends with the same view."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from state.fold import Fold
from state.frames import Told
from tests.support.told import decoded, told

names = st.sampled_from(["x", "y", "z"])
payloads = st.one_of(
    st.just({"properties": {"__deleted__": True}}),
    st.fixed_dictionaries(
        {
            "properties": st.dictionaries(names, st.integers(0, 9), max_size=3),
            "unset": st.lists(names, max_size=2),
        }
    ),
)
events = st.tuples(st.sampled_from("ab"), payloads)
# Bytes that are taken out between the events.
histories = st.lists(events | st.sampled_from([1, 300, 10_000]), max_size=20)


def view(texts: Sequence[bytes]) -> dict[str, dict[str, object]]:
    """The entities that exist after these frames, to who knew nothing before."""
    found: dict[str, dict[str, object]] = {}
    for frame in decoded(texts):
        if frame["type"] == "entity_deleted":
            found.pop(frame["entity_id"], None)
            continue
        known = found.setdefault(frame["entity_id"], {})
        if frame.get("removed"):
            known.pop(frame["property"], None)
        elif frame["type"] == "state_update":
            known[frame["property"]] = frame["value"]
    return found


class Reader:
    """Who gets what is taken out."""

    def __init__(self) -> None:
        self.every: list[Told] = []
        self.got: list[tuple[int, list[bytes]]] = []
        self.dropped: set[int] = set()
        self.fold = Fold()

    def put(self, entity_id: str, payload: dict[str, Any]) -> None:
        event = told(len(self.every) + 1, entity_id, payload)
        self.every.append(event)
        self.fold.add(event)

    def take(self, least_bytes: int) -> None:
        low = self.fold.note_dropped()
        if low is not None:
            assert all(seq < low for seq, _ in self.got), "it is told in advance"
            self.dropped |= set(range(low, len(self.every) + 1))
        self.got += self.fold.take(least_bytes)


@given(histories)
def test_what_is_taken_out_says_what_all_of_the_events_say_together(
    history: list[tuple[str, dict[str, Any]] | int],
) -> None:
    reader = Reader()
    for one in [*history, 1_000_000]:
        if isinstance(one, int):
            reader.take(one)
        else:
            reader.put(*one)
    assert not reader.fold
    assert reader.fold.size == 0
    assert view([text for _, texts in reader.got for text in texts]) == view(
        [text for event in reader.every for text in event.texts]
    )
    seqs = [seq for seq, _ in reader.got]
    assert seqs == sorted(set(seqs))
    got = dict(reader.got)
    for event in reader.every:
        if len(got.get(event.seq, [])) < len(event.texts):
            assert event.seq in reader.dropped, "it was left out without a word"
    for seq, texts in reader.got:
        said = decoded(texts)
        assert {frame["seq"] for frame in said} == {seq}
        assert [frame.get("more", False) for frame in said] == [
            *[True] * (len(said) - 1),
            False,
        ]


@given(st.lists(events, max_size=12))
def test_a_fold_is_as_small_as_what_differs(
    history: list[tuple[str, dict[str, Any]]],
) -> None:
    reader = Reader()
    for one in history * 3:
        reader.put(*one)
    # Two entities; of each three properties, a touch and a tombstone at most.
    assert len(reader.fold) <= 2 * 5
    assert reader.fold.size <= 10 * 150


def test_only_so_much_is_taken_out_in_whole_events() -> None:
    reader = Reader()
    for _ in range(3):
        reader.put("a", {"properties": {"x": 1}})
        reader.put("b", {"properties": {"x": 1, "y": 2}})
    reader.take(1)
    reader.take(1)
    assert [(seq, len(texts)) for seq, texts in reader.got] == [(5, 1), (6, 2)]
    assert reader.dropped == {1, 2, 3, 4, 5, 6}


def test_what_an_entity_was_before_its_end_is_not_told() -> None:
    reader = Reader()
    reader.put("a", {"properties": {"x": 1}})
    reader.put("b", {"properties": {"x": 1}})
    reader.put("a", {"properties": {"__deleted__": True}})
    reader.take(1_000)
    assert [seq for seq, _ in reader.got] == [2, 3]
