"""The arithmetic of the rate limit: integers, and never one event too many."""

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namespaces import bucket
from namespaces.bucket import EVENT, WINDOW_SECONDS, Level

LIMITS = st.integers(1, 10_000_000)
MICROS = st.integers(0, 200_000_000)
SPENT = st.integers(0, 10_000_000 * EVENT)


@given(spent=SPENT, micros=MICROS, limit=LIMITS)
def test_what_is_spent_runs_out_at_the_limits_rate_and_never_faster(
    spent: int, micros: int, limit: int
) -> None:
    after = bucket.decayed(spent, micros, limit=limit)
    assert type(after) is int
    most = min(spent, limit * EVENT)
    exact = max(Fraction(0), most - Fraction(limit * micros, WINDOW_SECONDS))
    assert 0 <= after - exact < 1, "rounded against the writer, by a millionth at most"


@given(spent=SPENT, first=MICROS, second=MICROS, limit=LIMITS)
def test_looking_in_between_gives_nothing(
    spent: int, first: int, second: int, limit: int
) -> None:
    once = bucket.decayed(spent, first + second, limit=limit)
    middle = bucket.decayed(spent, first, limit=limit)
    assert bucket.decayed(middle, second, limit=limit) >= once


@given(
    limit=st.integers(1, 5_000),
    asked=st.lists(
        st.tuples(st.integers(0, 40_000_000), st.integers(0, 3_000)),
        min_size=1,
        max_size=30,
    ),
)
def test_in_no_window_is_more_written_than_its_capacity_and_what_it_refilled(
    limit: int, asked: list[tuple[int, int]]
) -> None:
    """Whoever asks, as much as is left, at any time."""
    spent = now = 0
    written: list[tuple[int, int]] = []
    for wait, wanted in asked:
        now += wait
        spent = bucket.decayed(spent, wait, limit=limit)
        events = min(wanted, bucket.left(spent, limit=limit))
        spent += events * EVENT
        written.append((now, events))
    for start in range(len(written)):
        total = 0
        for at, events in written[start:]:
            total += events
            refilled = Fraction(limit * (at - written[start][0]), 60_000_000)
            assert total <= limit + refilled


@given(spent=SPENT, limit=LIMITS)
def test_what_is_left_has_room_and_one_more_has_not(spent: int, limit: int) -> None:
    left = bucket.left(spent, limit=limit)
    assert left >= 0
    assert left == 0 or spent + left * EVENT <= limit * EVENT
    assert spent + (left + 1) * EVENT > limit * EVENT


@given(spent=SPENT, events=st.integers(1, 20_000), limit=LIMITS)
def test_who_waits_as_long_as_it_is_told_may_write(
    spent: int, events: int, limit: int
) -> None:
    wait = bucket.seconds_until(events, spent, limit=limit)
    assert type(wait) is int
    assert wait >= 1
    after = bucket.decayed(spent, wait * 1_000_000, limit=limit)
    assert bucket.left(after, limit=limit) >= min(events, limit)
    if wait > 1:
        sooner = bucket.decayed(spent, (wait - 1) * 1_000_000, limit=limit)
        assert bucket.left(sooner, limit=limit) < min(events, limit), "and no longer"


@given(spent=SPENT, limit=LIMITS)
def test_the_headers_say_what_is_left_and_when_all_is(spent: int, limit: int) -> None:
    policy, state = bucket.headers(spent, limit=limit)
    assert policy == ("RateLimit-Policy", f'"namespace";q={limit};w=60')
    name, value = state
    assert name == "RateLimit"
    found = re.fullmatch(r'"namespace";r=(\d+);t=(\d+)', value)
    assert found
    left, seconds = map(int, found.groups())
    assert left == bucket.left(spent, limit=limit)
    assert bucket.decayed(spent, seconds * 1_000_000, limit=limit) == 0
    if seconds:
        assert bucket.decayed(spent, (seconds - 1) * 1_000_000, limit=limit) > 0


def test_a_minute_without_a_write_fills_it() -> None:
    level = Level(10_000 * EVENT, at=100.0)
    assert bucket.left(level.spent_by(100.0, limit=10_000), limit=10_000) == 0
    assert bucket.left(level.spent_by(130.0, limit=10_000), limit=10_000) == 5_000
    assert level.spent_by(160.0, limit=10_000) == 0
    assert level.spent_by(1e9, limit=10_000) == 0


def test_a_clock_that_runs_backwards_gives_nothing() -> None:
    level = Level(7 * EVENT, at=100.0)
    assert level.spent_by(99.0, limit=60) == 7 * EVENT


@pytest.mark.parametrize(
    ("events", "said"), [(1, "try again in"), (11, "do it in parts")]
)
def test_a_refusal_says_when_it_is_worth_trying(events: int, said: str) -> None:
    refused = bucket.refusal("coral", events, 10 * EVENT, limit=10)
    assert (refused.status, refused.code) == (429, "rate_limited")
    assert said in refused.message
    assert refused.retry_after == (6 if events == 1 else 60)


def test_a_limit_that_was_lowered_leaves_nobody_in_debt() -> None:
    """The smaller bucket is empty at worst, and full again after a minute."""
    spent = 10_000 * bucket.EVENT
    now = bucket.decayed(spent, 0, limit=10)
    assert bucket.left(now, limit=10) == 0
    assert bucket.seconds_until(1, now, limit=10) == 6
    assert bucket.decayed(spent, 60_000_000, limit=10) == 0
