"""The newest events of a feed, and how fast they come."""

import pytest

from state import recent
from state.frames import Standing, Told
from state.recent import Recent


def told(seq: int, size: int = 10) -> Told:
    return Told(Standing("a", b" " * size), seq=seq, recorded_at=0)


def seqs(found: list[Told] | None) -> list[int] | None:
    return None if found is None else [one.seq for one in found]


def test_what_is_kept_is_given_from_any_place_of_it() -> None:
    kept = Recent()
    kept.add([told(5), told(6)])
    kept.add([told(7)])
    assert seqs(kept.after(4, most=10)) == [5, 6, 7]
    assert seqs(kept.after(5, most=1)) == [6]
    assert seqs(kept.after(7, most=10)) == []
    assert kept.after(3, most=10) is None  # whether 4 was there, nobody knows


def test_nothing_is_known_at_first_and_after_it_was_cleared() -> None:
    kept = Recent()
    assert kept.after(0, most=1) is None
    kept.add([told(1)])
    kept.clear()
    assert kept.after(0, most=1) is None


def test_it_forgets_the_oldest_and_never_leaves_a_hole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recent, "MOST_EVENTS", 10)
    kept = Recent()
    for seq in range(1, 100):
        kept.add([told(seq)])
        found = kept.after(seq - 10, most=100) if seq > 10 else kept.after(0, most=100)
        assert found is not None
        assert seqs(found) == list(range(found[0].seq, seq + 1))
        assert kept.after(seq - 21, most=1) is None or seq <= 21


def test_large_events_are_forgotten_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MOST_BYTES", 10_000)
    kept = Recent()
    for seq in range(1, 100):
        kept.add([told(seq, size=3_000)])
    assert kept.after(90, most=1) is None
    assert seqs(kept.after(96, most=10)) == [97, 98, 99]
