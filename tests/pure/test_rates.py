"""How fast events come, and from how many: over the last seconds, and bounded."""

from itertools import pairwise
from types import SimpleNamespace

import pytest

from state import rates
from state.rates import RATE_SECONDS, Rates


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(rates, "time", SimpleNamespace(monotonic=made.monotonic))
    return made


def test_at_first_there_is_nothing(clock: Clock) -> None:
    assert (Rates().per_second, Rates().publishers) == (0, 0)


@pytest.mark.parametrize("offset", [0.0, 0.01, 0.5, 0.99])
def test_a_steady_rate_is_told_as_it_is(clock: Clock, offset: float) -> None:
    """Wherever in a second it is looked at."""
    counting = Rates()
    for _ in range(1_000):
        clock.now += 0.01
        counting.count(["a"])
    clock.now += offset
    for _ in range(int(offset * 100)):
        counting.count(["a"])
    assert counting.per_second == pytest.approx(100, rel=0.01)


def test_it_falls_to_0_and_never_rises_when_nothing_comes(clock: Clock) -> None:
    counting = Rates()
    counting.count(["a"] * 70)
    seen = []
    for _ in range(70):
        seen.append(counting.per_second)
        clock.now += 0.1
    assert seen[:50] == [70 / RATE_SECONDS] * 50
    assert all(later <= sooner for sooner, later in pairwise(seen))
    assert set(seen[RATE_SECONDS * 10 + 11 :]) == {0}


def test_publishers_are_distinct_sources_of_ten_seconds(clock: Clock) -> None:
    counting = Rates()
    counting.count(["a", "b", "a"])
    clock.now += 4
    counting.count(["b", "c"])
    assert counting.publishers == 3
    clock.now += 6
    assert counting.publishers == 2
    clock.now += 4
    assert counting.publishers == 0
    counting.count(["a"])
    assert counting.publishers == 1


def test_memory_is_bounded_whatever_comes(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "MOST_SOURCES", 100)
    counting = Rates()
    for second in range(50):
        for number in range(20):
            counting.count([f"{second} {number} {n}" for n in range(30)])
        clock.now += 1
    held = [len(one.sources) for one in counting._seconds]
    assert len(held) <= 10
    assert max(held) < 2 * 100
    assert counting.per_second == 600  # what is not told apart is counted
    huge = [str(number) for number in range(1_000)]
    counting.count(huge)
    assert len(counting._seconds[-1].sources) == 100


def test_of_a_long_source_not_the_text_is_kept(clock: Clock) -> None:
    counting = Rates()
    counting.count(["x" * 512])
    assert all(isinstance(one, int) for one in counting._seconds[0].sources)
