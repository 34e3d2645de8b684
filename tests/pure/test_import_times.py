"""What a row says of its time becomes epoch milliseconds, or a reason."""

from datetime import UTC, datetime

import pytest

from events.importing import times
from events.importing.times import BadTime, Reading

NEW_YORK = Reading(zone=times.zone("America/New_York"))


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2013-01-01T10:00:00Z", ms("2013-01-01T10:00:00+00:00")),
        ("2013-01-01T10:00:00.25+02:00", ms("2013-01-01T08:00:00.250+00:00")),
        ("2013-01-01 10:00:00", ms("2013-01-01T10:00:00+00:00")),
        ("2013-01-01", ms("2013-01-01T00:00:00+00:00")),
        ("1357034400", 1357034400000),
        ("1357034400.5", 1357034400500),
        ("1357034400123", 1357034400123),
        (" 1.3570344e9 ", 1357034400000),
    ],
)
def test_a_time_is_read_as_it_looks(text: str, expected: int) -> None:
    assert times.from_text(text, Reading()) == expected


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("60", "epoch", 60_000),
        ("60", "epoch_ms", 60),
        ("20130131", "%Y%m%d", ms("2013-01-31T00:00:00+00:00")),
        ("31.1.2013 8:15", "%d.%m.%Y %H:%M", ms("2013-01-31T08:15:00+00:00")),
        ("31.1.2013 +0100", "%d.%m.%Y %z", ms("2013-01-30T23:00:00+00:00")),
    ],
)
def test_a_form_that_is_said_goes_before_looks(
    text: str, form: str, expected: int
) -> None:
    assert times.from_text(text, Reading(form)) == expected


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("20130131", "auto"),
        ("2013", "auto"),
        ("yesterday", "auto"),
        ("1969-12-31T23:59:59Z", "auto"),
        ("1e19", "epoch"),
        ("12:00", "epoch"),
        ("2013-02-30", "rfc3339"),
        ("2013-01-31", "%d.%m.%Y"),
    ],
)
def test_what_is_no_time_is_refused_with_the_text_in_the_reason(
    text: str, form: str
) -> None:
    with pytest.raises(BadTime, match=text[:4]):
        times.from_text(text, Reading(form))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("2013", "1", "1", "5", "15"), "2013-01-01T10:15:00+00:00"),
        (("2013", "07", "01"), "2013-07-01T04:00:00+00:00"),
        (("2013", "3", "10", "1", "59"), "2013-03-10T06:59:00+00:00"),
        (("2013", "3", "10", "3", "0"), "2013-03-10T07:00:00+00:00"),
        (("2013", "11", "3", "0", "59", "59"), "2013-11-03T04:59:59+00:00"),
        (("2013", "11", "3", "2", "0"), "2013-11-03T07:00:00+00:00"),
    ],
)
def test_local_parts_follow_the_clock_of_their_zone(
    parts: tuple[str, ...], expected: str
) -> None:
    assert times.from_parts(parts, NEW_YORK) == ms(expected)


def test_a_skipped_local_time_moves_forward_and_a_repeated_one_is_the_first() -> None:
    skipped = times.from_parts(("2013", "3", "10", "2", "30"), NEW_YORK)
    repeated = times.from_parts(("2013", "11", "3", "1", "30"), NEW_YORK)
    assert skipped == ms("2013-03-10T03:30:00-04:00")
    assert repeated == ms("2013-11-03T01:30:00-04:00")


def test_bad_parts_are_named() -> None:
    with pytest.raises(BadTime, match="month '13'"):
        times.from_parts(("2013", "13", "1"), NEW_YORK)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(BadTime, match="Mars"):
        times.zone("Mars/Olympus")
    assert times.zone("UTC").utcoffset(datetime.now(UTC)) is not None
