"""Which entities a selection means, and between which ids they lie."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.selection import Selection, successor

LAST = chr(0x10FFFF)

letters = st.sampled_from([*"ab/.0", "default/", "\ud7ff", "\ue000", "ü", "😀", LAST])
texts = st.lists(letters, min_size=1, max_size=4).map("".join)


@pytest.mark.parametrize(
    ("prefix", "following"),
    [
        ("a", "b"),
        ("a/", "a0"),
        ("az", "a{"),
        ("\ud7ff", "\ue000"),
        (f"a{LAST}", "b"),
        (f"a{LAST}{LAST}", "b"),
        (LAST, None),
        (LAST * 3, None),
    ],
)
def test_the_successor_is_the_least_text_above(
    prefix: str, following: str | None
) -> None:
    assert successor(prefix) == following


@settings(max_examples=60, deadline=None)
@given(texts, texts)
def test_between_a_prefix_and_its_successor_lies_what_starts_with_it(
    prefix: str, text: str
) -> None:
    end = successor(prefix)
    for candidate in (text, prefix + text, text[:-1] + prefix):
        # UTF-8 keeps the order of code points, which is PostgreSQL's COLLATE "C".
        key = candidate.encode()
        is_between = prefix.encode() <= key and (end is None or key < end.encode())
        assert is_between == candidate.startswith(prefix)


@settings(max_examples=60, deadline=None)
@given(
    st.none() | st.sampled_from(["a", "b", "default", "ü"]),
    st.none() | texts,
    st.lists(texts, min_size=1),
)
def test_the_bounds_hold_what_matches_and_nothing_else(
    namespace: str | None, prefix: str | None, ids: list[str]
) -> None:
    selection = Selection(namespace, prefix)
    low, high = selection.bounds()
    made = [f"{namespace}/{text}" for text in ids] + [f"{prefix}{ids[0]}"]
    for entity_id in ids + made:
        is_within = low <= entity_id and (high is None or entity_id < high)
        if selection.is_default:
            assert is_within or not selection.matches(entity_id)
        else:
            assert is_within == selection.matches(entity_id)


def test_namespace_and_prefix_must_both_hold() -> None:
    both = Selection("a", "a/b")
    assert both.matches("a/bc")
    assert not both.matches("a/c")
    assert not Selection("a", "b").matches("a/x")
    low, high = Selection("a", "b").bounds()
    assert high is not None
    assert high <= low


def test_the_namespace_default_also_holds_what_has_none() -> None:
    selection = Selection("default")
    assert selection.matches("x")
    assert selection.matches("default/x")
    assert not selection.matches("x/default")


def test_listed_ids_are_matched_exactly() -> None:
    selection = Selection(ids=("a", "b"))
    assert selection.matches("a")
    assert not selection.matches("ab")
