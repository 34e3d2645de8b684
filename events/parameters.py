"""Query parameters of the log → a Query, or the error that names the parameter (§3)."""

import re
from collections.abc import Mapping
from datetime import datetime

from events import history
from flux_project.errors import Invalid
from namespaces import names

DEFAULT_LIMIT, MAX_LIMIT = 100, 500

# RFC 3339, whose offset is required; a plus sign that nobody encoded comes as a blank.
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+\- ]\d\d:\d\d)", re.ASCII
)


class InvalidParameter(Invalid):
    """A query parameter is malformed."""

    code = "invalid_parameter"


def query(given: Mapping[str, str]) -> history.Query:
    """The events that `given` asks for. Raises InvalidParameter or InvalidEntityId."""
    entity = given.get("entity")
    return history.Query(
        entity_id=None if entity is None else names.entity_id(entity, field="entity"),
        stream=_text(given, "stream"),
        source=_text(given, "source"),
        namespace=_text(given, "namespace"),
        since=_moment(given, "since"),
        until=_moment(given, "until"),
        before=whole(given, "before", low=1, high=(1 << 63) - 1),
        limit=whole(given, "limit", low=1, high=MAX_LIMIT) or DEFAULT_LIMIT,
    )


def whole(given: Mapping[str, str], name: str, *, low: int, high: int) -> int | None:
    """A whole number within bounds; None when the parameter is absent."""
    text = given.get(name)
    if text is None:
        return None
    if text.isascii() and text.isdecimal() and len(text) <= 20:
        value = int(text)
        if low <= value <= high:
            return value
    message = f"{name} must be a whole number from {low} to {high}."
    raise InvalidParameter(message, field=name)


def _text(given: Mapping[str, str], name: str) -> str | None:
    text = given.get(name)
    if text is not None and (not text or "\0" in text or len(text) > 512):
        message = f"{name} must have 1 to 512 characters, none of them NUL."
        raise InvalidParameter(message, field=name)
    return text


def _moment(given: Mapping[str, str], name: str) -> datetime | None:
    text = given.get(name)
    if text is None:
        return None
    match = _TIME.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        day, clock, fraction, offset = match.groups()
        micros = ((fraction or ".0")[1:] + "000000")[:6]
        zone = "+00:00" if offset in "Zz" else offset.replace(" ", "+")
        return datetime.fromisoformat(f"{day}T{clock}.{micros}{zone}")
    except ValueError:
        message = (
            f"{name} must be an RFC 3339 time with an offset: 2026-01-31T08:00:00Z."
        )
        raise InvalidParameter(message, field=name) from None
