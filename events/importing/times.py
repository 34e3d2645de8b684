"""What a row says of its time → epoch milliseconds.

Invariant: the answer lies within the contract's range (§1: 1 … 8.64e15), or BadTime
says why not. A local time that a clock change skips is moved forward by the gap, one
that happens twice means the first: what iCalendar (RFC 5545) and ECMAScript's Temporal
do.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from flux_project.errors import Invalid

PARTS = ("year", "month", "day", "hour", "minute", "second")
LEAST_PARTS = 3
MAX_TIMESTAMP_MS = 8_640_000_000_000_000

AUTO, RFC3339, EPOCH, EPOCH_MS = "auto", "rfc3339", "epoch", "epoch_ms"

# What tells seconds from milliseconds when nobody said which: as seconds these bounds
# are the years 1973 and 5138. Below lie calendar dates (20130101) and years, never
# guessed at.
_LEAST_SECONDS = 100_000_000
_LEAST_MILLISECONDS = 100_000_000_000

_NUMBER = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,30})?(?:[eE]\+?[0-9]{1,2})?", re.ASCII)
_EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class BadTime(Invalid):
    """This is not a time."""

    code = "bad_time"


class Reading(NamedTuple):
    """How times are written: `auto`, `rfc3339`, `epoch`, `epoch_ms` or a strptime
    pattern; `zone` is where a time without an offset was taken."""

    form: str = AUTO
    zone: tzinfo = UTC


AS_IT_LOOKS = Reading()


def zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name, or BadTime."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        message = f"{name!r} is no time zone; one looks like Europe/Berlin or UTC."
        raise BadTime(message) from None


@lru_cache(maxsize=16_384)
def from_text(text: str, reading: Reading) -> int:
    """Epoch milliseconds of one text, in the form that `reading` says."""
    text = text.strip()
    if reading.form in {EPOCH, EPOCH_MS}:
        return _from_number(text, reading.form)
    if reading.form == AUTO and _NUMBER.fullmatch(text):
        return _from_number(text, _unit_of(text))
    if "%" in reading.form:
        return _from_pattern(text, reading)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text[:60]!r} is not a time like 2013-01-31T08:15:00Z."
        raise BadTime(message) from None
    return _milliseconds(moment, reading.zone)


@lru_cache(maxsize=16_384)
def from_parts(parts: tuple[str, ...], reading: Reading) -> int:
    """Epoch milliseconds of year, month, day[, hour[, minute[, second]]]."""
    try:
        numbers = [int(part) for part in parts]
        moment = datetime(*numbers, tzinfo=reading.zone)  # type: ignore[misc,arg-type]  # 3 to 6 numbers
    except ValueError as error:
        said = ", ".join(
            f"{name} {part[:20]!r}" for name, part in zip(PARTS, parts, strict=False)
        )
        raise BadTime(f"This is not a time ({error}): {said}.") from None
    return _milliseconds(moment, reading.zone)


def _unit_of(text: str) -> str:
    size = abs(Decimal(text))
    if size >= _LEAST_MILLISECONDS:
        return EPOCH_MS
    if size >= _LEAST_SECONDS:
        return EPOCH
    message = (
        f"{text!r} may be a date, seconds or milliseconds: say which with "
        "--time-format (epoch, epoch_ms or a pattern like %Y%m%d)."
    )
    raise BadTime(message)


def _from_number(text: str, unit: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise BadTime(f"{text[:60]!r} is not a number of {unit}.")
    value = Decimal(text) * (1000 if unit == EPOCH else 1)
    return _within_range(int(value), text)


def _from_pattern(text: str, reading: Reading) -> int:
    try:
        moment = datetime.strptime(text, reading.form)  # noqa: DTZ007  its zone comes next
    except ValueError:
        message = f"{text[:60]!r} is not a time in the form {reading.form}."
        raise BadTime(message) from None
    return _milliseconds(moment, reading.zone)


def _milliseconds(moment: datetime, zone: tzinfo) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return _within_range((moment - _EPOCH_START) // _MILLISECOND, moment.isoformat())


def _within_range(milliseconds: int, said: str) -> int:
    if 1 <= milliseconds <= MAX_TIMESTAMP_MS:
        return milliseconds
    message = (
        f"{said[:60]!r} lies outside what an event can say: 1970 to the year 275760."
    )
    raise BadTime(message)
