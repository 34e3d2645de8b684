"""Bars are as high as their values say, and none that is there is left unseen."""

from flux_project import charts


def test_the_highest_fills_the_chart_and_the_others_follow() -> None:
    found = charts.chart([("a", 50), ("b", 100), ("c", 0)], unit="events")
    assert [bar.height for bar in found.bars] == [50, charts.HEIGHT, 0]
    assert [bar.y for bar in found.bars] == [50, 0, charts.HEIGHT]
    assert (found.total, found.peak) == (150, 100)
    assert (found.first, found.last) == ("a", "c")


def test_bars_stand_side_by_side_within_the_chart() -> None:
    found = charts.chart([("", 1)] * 60, unit="events")
    ends = [bar.x + found.bar for bar in found.bars]
    assert all(end <= after.x for end, after in zip(ends, found.bars[1:], strict=False))
    assert ends[-1] <= found.width


def test_one_among_a_million_is_seen() -> None:
    found = charts.chart([("a", 1), ("b", 1_000_000)], unit="events")
    assert found.bars[0].height >= 1
    assert found.bars[0].title == "a: 1 events"


def test_nothing_makes_a_chart_without_bars() -> None:
    assert [bar.height for bar in charts.chart([("a", 0)], unit="x").bars] == [0]
    assert charts.chart([], unit="x").width > 0


def test_shares_are_of_the_first() -> None:
    found = charts.shares([("a", 200), ("b", 50), ("c", 1)])
    assert [one.percent for one in found] == [100, 25, 1]
    assert charts.shares([]) == []


def test_amounts_are_told_as_who_asks_writes_them() -> None:
    found = charts.chart([("May", 900)], show=lambda value: f"{value / 100:.2f} EUR")
    assert [bar.title for bar in found.bars] == ["May: 9.00 EUR"]
