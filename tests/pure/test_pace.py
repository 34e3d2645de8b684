"""Whether a feed keeps up: late is who has not told for five seconds what there is."""

from types import SimpleNamespace

import pytest

from state import pace
from state.pace import LATE_SECONDS, Pace


class Clock:
    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(pace, "time", SimpleNamespace(monotonic=made.monotonic))
    return made


def test_a_feed_that_begins_has_its_time(clock: Clock) -> None:
    feed = Pace()
    clock.now += LATE_SECONDS - 0.1
    assert not feed.is_late
    clock.now += 0.2
    assert feed.is_late


def test_who_reads_and_tells_is_never_late(clock: Clock) -> None:
    feed = Pace()
    for second in range(60):
        feed.saw(second, position=second)
        clock.now += 1
        assert not feed.is_late


def test_who_cannot_read_is_late_and_then_it_is_not(clock: Clock) -> None:
    feed = Pace()
    feed.saw(5, position=5)
    clock.now += LATE_SECONDS + 0.1
    feed.reached(9)  # what was offered, though nobody knows whether that is all
    assert feed.is_late
    feed.saw(9, position=9)
    assert not feed.is_late


def test_who_reads_and_tells_nobody_is_late(clock: Clock) -> None:
    feed = Pace()
    for _ in range(12):
        feed.saw(100, position=50)
        clock.now += 0.5
    assert feed.is_late
    feed.reached(99)
    assert feed.is_late
    feed.reached(100)
    assert feed.is_late, "that was the end of the log six seconds ago"
    feed.saw(100, position=100)
    assert not feed.is_late


def test_under_load_the_end_may_always_be_ahead(clock: Clock) -> None:
    """What counts is how long ago it was the end, not that another one has come."""
    feed = Pace()
    for tick in range(1, 600):
        feed.saw(10 * tick, position=10 * tick - 5)
        clock.now += 0.1
        feed.reached(10 * tick + 2)
        assert not feed.is_late


def test_a_lag_is_measured_from_when_the_log_was_read(clock: Clock) -> None:
    """Four seconds behind all the time it works; six seconds behind it does not."""
    for lag, is_late in ((4, False), (6, True)):
        feed = Pace()
        for second in range(60):
            feed.saw(second, position=second - lag)
            clock.now += 1
        assert feed.is_late is is_late, lag


def test_another_log_begins_anew(clock: Clock) -> None:
    feed = Pace()
    feed.saw(1_000, position=10)
    feed.reset()
    clock.now += 1
    feed.saw(3, position=3)
    clock.now += LATE_SECONDS - 0.1
    assert not feed.is_late
