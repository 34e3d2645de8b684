"""What a long command says where no bar can move: into a file or a pipe."""

from io import StringIO

import pytest

from flux_project import progress
from flux_project.progress import Meter


def test_a_line_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0)
    stream = StringIO()
    with Meter(stream) as meter:
        meter.begin("state", total=4_000, unit="events")
        meter.advance(1_000)
        meter.advance(1_000)
        meter.begin("known ids", total=None, unit="ids")
        meter.advance(5)
        meter.begin("", total=50, unit="rows")
        meter.show(1_234, done=10, rate=7)
    first, second, known, rows = stream.getvalue().splitlines()
    assert first.startswith("state: 1,000 events, ")
    assert "/s, 25 %, about " in first
    assert second.startswith("state: 2,000 events, ")
    assert second.endswith(" s left")
    assert known.startswith("known ids: 5 ids, ")
    assert known.endswith("/s")
    assert rows.startswith("1,234 rows, 7/s, 20 %, about ")


def test_lines_come_every_few_seconds_only() -> None:
    stream = StringIO()
    with Meter(stream) as meter:
        meter.begin("state", total=3, unit="events")
        for _ in range(3):
            meter.advance(1)
    assert stream.getvalue() == ""
