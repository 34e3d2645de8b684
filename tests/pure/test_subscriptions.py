"""What a connection still is to be told, whatever its subscriptions overlap in."""

from hypothesis import given
from hypothesis import strategies as st

from state.frames import Standing, Told
from state.interest import EVERYTHING, Interest, Kind
from state.subscriptions import MOST_SKIPPED, Subscription, Subscriptions


def told(seq: int, entity_id: str, *, is_tombstone: bool = False) -> Told:
    effect = Standing(entity_id, b"{}", entity_id.partition("/")[0])
    if is_tombstone:
        effect = Standing(entity_id, b"{}", effect.namespace, is_tombstone=True)
    return Told(effect, seq=seq, recorded_at=0)


def subscribed(*wanted: tuple[Kind, str, int]) -> Subscriptions:
    found = Subscriptions()
    for kind, value, since in wanted:
        found.put(Subscription(Interest(kind, value), since=since))
    return found


def test_an_event_is_wanted_from_the_earliest_place_of_those_that_match() -> None:
    both = subscribed((Kind.ENTITY, "n/a", 5), (Kind.PREFIX, "n/", 9))
    assert not both.wants(told(5, "n/a"))
    assert both.wants(told(6, "n/a"))
    assert not both.wants(told(9, "n/b"))
    assert both.wants(told(10, "n/b"))
    assert both.settled_at == 9


def test_deletions_are_told_to_all_but_not_twice() -> None:
    one = subscribed((Kind.ENTITY, "n/a", 5))
    assert one.wants(told(1, "other", is_tombstone=True))
    assert not one.wants(told(5, "n/a", is_tombstone=True))


def test_what_a_snapshot_showed_is_not_told_again() -> None:
    found = Subscriptions()
    shown = Subscription(EVERYTHING, since=4)
    shown.show("n/a", at=8)
    found.put(shown)
    assert not found.wants(told(8, "n/a"))
    assert found.wants(told(9, "n/a"))
    assert found.wants(told(5, "n/b"))
    assert found.settled_at == 8


def test_a_replay_leaves_out_what_another_subscription_told() -> None:
    found = subscribed((Kind.ENTITY, "n/a", 5))
    wide = Subscription(Interest(Kind.PREFIX, "n/"), since=0)
    found.put(wide)
    assert found.delivered(told(6, "n/a"), but=wide)
    assert not found.delivered(told(5, "n/a"), but=wide)
    assert not found.delivered(told(6, "n/b"), but=wide)


def test_of_what_was_conflated_nobody_knows_what_was_told() -> None:
    """However often one stretch reaches into the next, what lies between is known."""
    found = subscribed((Kind.ENTITY, "n/a", 0))
    wide = Subscription(Interest(Kind.PREFIX, "n/"), since=0)
    found.put(wide)
    for start in range(100, 100 + 50 * MOST_SKIPPED, 50):
        found.skip(start, start + 60)
    found.skip(90_000, 90_100)
    for seq, is_known in {99: True, 140: False, 80_000: True, 90_050: False}.items():
        assert found.delivered(told(seq, "n/a"), but=wide) == is_known


@given(
    st.lists(
        st.tuples(
            st.sampled_from(Kind),
            st.sampled_from(["n", "n/", "n/a", "*"]),
            st.integers(0, 5),
        ),
        max_size=9,
    ),
    st.integers(1, 6),
    st.sampled_from(["n/a", "n/b", "m/a"]),
)
def test_few_and_many_are_matched_alike(
    wanted: list[tuple[Kind, str, int]], seq: int, entity_id: str
) -> None:
    """Few are looked at one by one, many are found by an index."""
    event = told(seq, entity_id)
    filler = [(Kind.ENTITY, f"never/{number}", 0) for number in range(10)]
    assert subscribed(*wanted).wants(event) == subscribed(*wanted, *filler).wants(event)
