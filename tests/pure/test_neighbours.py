"""What the processes tell each other of themselves, and forget again."""

from types import SimpleNamespace

import pytest

from state import neighbours
from state.neighbours import FORGET_SECONDS, Neighbours


class Clock:
    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(neighbours, "time", SimpleNamespace(monotonic=made.monotonic))
    return made


def said(by: Neighbours, connections: int) -> str:
    _, (channel, payload) = by.say(connections)
    assert channel == neighbours.CHANNEL.encode()
    assert payload is not None
    return payload.decode()


def test_the_newest_number_of_each_counts(clock: Clock) -> None:
    mine, first, second = Neighbours(), Neighbours(), Neighbours()
    assert not mine.exist
    assert mine.hear(said(first, 3))
    assert not mine.hear(said(first, 5)), "it is known"
    assert mine.hear(said(second, 7))
    assert mine.exist
    assert mine.connections == 12


def test_what_one_says_itself_is_not_heard(clock: Clock) -> None:
    mine = Neighbours()
    assert not mine.hear(said(mine, 3))
    assert (mine.exist, mine.connections) == (False, 0)


@pytest.mark.parametrize("payload", ["", "x", "x y", "x -1", "x 1.5", " ", "x 1 2"])
def test_what_is_no_word_of_a_process_is_not_heard(clock: Clock, payload: str) -> None:
    mine = Neighbours()
    assert not mine.hear(payload)
    assert not mine.exist


def test_who_is_silent_is_forgotten(clock: Clock) -> None:
    mine, gone, there = Neighbours(), Neighbours(), Neighbours()
    mine.hear(said(gone, 5))
    clock.now += FORGET_SECONDS - 1
    mine.hear(said(there, 2))
    assert mine.connections == 7
    clock.now += 2
    assert mine.connections == 2
    assert len(mine._heard) == 1
    assert mine.hear(said(gone, 1)), "it is as new"
    clock.now += FORGET_SECONDS + 1
    assert not mine.exist
