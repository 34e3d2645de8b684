"""Why an event was refused: the field, and what was expected there.

The slow half of `envelope`: it runs only for texts that the typed decoder refused.
Invariant: `fault` always finds a reason, so that no refusal is without one.
"""

import msgspec

from events import exact
from flux_project.errors import FluxError, Invalid

MAX_TIMESTAMP_MS = 8_640_000_000_000_000
TIMESTAMP = f"must be a whole number from 1 to {MAX_TIMESTAMP_MS}, in epoch ms."

_TEXT = "must be a string."
_OPTIONAL_TEXT = "must be a string or null."
_OBJECT = "must be an object."
_REQUIRED = {"stream": _TEXT, "source": _TEXT, "payload": _OBJECT}
_REQUIRED_IN_PAYLOAD = {"entity_id": _TEXT, "properties": _OBJECT}
_OPTIONAL = ("eventId", "key", "schema")


class InvalidEvent(Invalid):
    """The event is malformed."""

    code = "invalid_event"


def fault(text: bytes) -> FluxError:
    """The error for an event's text (valid UTF-8) that msgspec did not accept."""
    try:
        for _ in exact.elements(text):
            pass
        exact.check(text)
        event = msgspec.json.decode(text)
    except FluxError as error:
        return error
    if not isinstance(event, dict):
        return InvalidEvent("An event must be a JSON object.")
    return (
        _first_wrong(event, _REQUIRED, "")
        or _first_wrong(event["payload"], _REQUIRED_IN_PAYLOAD, "payload.")
        or _wrong_option(event)
        or InvalidEvent(
            "payload.unset must be a list of strings.", field="payload.unset"
        )
    )


def _first_wrong(
    found: dict[str, object], required: dict[str, str], prefix: str
) -> InvalidEvent | None:
    for name, expectation in required.items():
        field = prefix + name
        if name not in found:
            return InvalidEvent(f"{field} is missing.", field=field)
        kind = dict if expectation == _OBJECT else str
        if not isinstance(found[name], kind):
            return InvalidEvent(f"{field} {expectation}", field=field)
    return None


def _wrong_option(event: dict[str, object]) -> InvalidEvent | None:
    for name in _OPTIONAL:
        if not isinstance(event.get(name), str | None):
            return InvalidEvent(f"{name} {_OPTIONAL_TEXT}", field=name)
    if "timestamp" in event:
        timestamp = event["timestamp"]
        is_whole = isinstance(timestamp, int) and not isinstance(timestamp, bool)
        if not is_whole or not 1 <= timestamp <= MAX_TIMESTAMP_MS:  # type: ignore[operator]  # an int, by is_whole
            return InvalidEvent(f"timestamp {TIMESTAMP}", field="timestamp")
    return None
