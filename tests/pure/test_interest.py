"""What a listener may want, and how those who want an event are found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_project.errors import FluxError
from state.interest import DIRECTORY_ID, EVERYTHING, Index, Interest, Kind, interest

ids = st.text("ab/é", min_size=1, max_size=6)
kinds = st.sampled_from(Kind)
interests = st.builds(Interest, kinds, ids)


def namespace_of(entity_id: str) -> str:
    first, slash, _ = entity_id.partition("/")
    return first if slash else "default"


class Sliced(str):
    """An id that counts how often a beginning of it was looked at."""

    looks = 0

    def __getitem__(self, key: object) -> str:
        type(self).looks += 1
        return super().__getitem__(key)  # type: ignore[index]  # as the str it is


@given(st.lists(interests, max_size=12), ids)
def test_the_index_finds_exactly_who_wants_an_entity(
    wanted: list[Interest], entity_id: str
) -> None:
    index: Index[Interest] = Index()
    for one in [*wanted, EVERYTHING]:
        index.put(one, one)
    found = index.of(entity_id, namespace_of(entity_id))
    assert len(found) == len(set(found))
    assert set(found) == {
        one
        for one in [*wanted, EVERYTHING]
        if one.matches(entity_id, namespace_of(entity_id))
    }


@given(st.lists(interests, max_size=8), st.lists(interests, max_size=8), ids)
def test_what_was_removed_is_not_found(
    kept: list[Interest], removed: list[Interest], entity_id: str
) -> None:
    index: Index[Interest] = Index()
    for one in [*removed, *kept]:
        index.put(one, one)
    for one in removed:
        index.remove(one)
        index.remove(one)
    left = set(kept) - set(removed)
    assert len(index) == len(left)
    space = namespace_of(entity_id)
    found = {one for one in left if one.matches(entity_id, space)}
    assert set(index.of(entity_id, space)) == found


@pytest.mark.parametrize("many", [10, 10_000])
def test_finding_costs_the_same_however_many_prefixes_there_are(many: int) -> None:
    index: Index[int] = Index()
    for number in range(many):
        index.put(Interest(Kind.PREFIX, f"ns{number:06}/"), number)
        index.put(Interest(Kind.PREFIX, f"ns{number:06}/room"), number)
        index.put(Interest(Kind.ENTITY, f"ns{number:06}/x"), number)
    Sliced.looks = 0
    assert index.of(Sliced("ns000007/room/1"), "ns000007") == [7, 7]
    assert Sliced.looks == 2  # once for each length that a prefix has


def test_everything_does_not_include_the_directory() -> None:
    assert not EVERYTHING.wants_directory
    assert not Interest(Kind.PREFIX, "flux").wants_directory
    assert not Interest(Kind.NAMESPACE, "default").wants_directory
    assert not Interest(Kind.PREFIX, "flux-core/x").wants_directory
    assert Interest(Kind.PREFIX, "flux-core/").wants_directory
    assert Interest(Kind.ENTITY, DIRECTORY_ID).wants_directory
    assert Interest(Kind.NAMESPACE, "flux-core").wants_directory


def test_an_empty_prefix_is_everything() -> None:
    assert interest({"prefix": ""}) == EVERYTHING
    assert interest({"entity_id": "*"}) == EVERYTHING


def test_a_star_is_the_name_of_no_entity() -> None:
    index: Index[str] = Index()
    index.put(EVERYTHING, "all")
    assert index.of("*", "default") == ["all"]


WRONG: list[dict[str, object]] = [
    {"entity_id": "a", "prefix": "a"},
    {"entity_id": 7},
    {"entity_id": ["a"]},
    {"entity_id": ""},
    {"entity_id": "/a"},
    {"entity_id": "x" * 513},
    {"prefix": "x" * 513},
    {"prefix": "a\x00"},
    {"prefix": "a\n"},
    {"namespace": ""},
    {"namespace": "a\x7f"},
    {"namespace": {"a": 1}},
]


@pytest.mark.parametrize("given_", WRONG, ids=str)
def test_a_wrong_interest_is_refused_and_named(given_: dict[str, object]) -> None:
    with pytest.raises(FluxError) as refused:
        interest(given_)
    assert refused.value.status == 400
    if len(given_) == 1:
        assert refused.value.field in given_


def test_nothing_named_is_no_interest() -> None:
    assert interest({}) is None
    assert interest({"entity_id": None, "other": 7}) is None
