"""Query parameters of a list of entities → what is wanted (contract §3). Pure."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from flux_project.errors import Invalid
from namespaces import names
from state.selection import Selection

MAX_LIMIT = 10_000


class InvalidListing(Invalid):
    """A query parameter is malformed."""

    code = "invalid_parameter"


@dataclass(frozen=True, slots=True)
class Wanted:
    """after: the id to go on behind, "" at the start; limit: None for everything."""

    selection: Selection
    after: str
    limit: int | None


def wanted(given: Mapping[str, str]) -> Wanted:
    """What a request lists. Raises InvalidListing, which names the parameter."""
    selection = Selection(
        namespace=_filter(given, "namespace"), prefix=_filter(given, "prefix")
    )
    limit = given.get("limit")
    if limit is None:
        if "cursor" in given:
            message = "cursor needs the limit of the page that it came from."
            raise InvalidListing(message, field="cursor")
        return Wanted(selection, "", None)
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 9):
        limit = "0"
    if not 1 <= int(limit) <= MAX_LIMIT:
        message = f"limit must be a whole number from 1 to {MAX_LIMIT}."
        raise InvalidListing(message, field="limit")
    cursor = given.get("cursor")
    return Wanted(selection, _decode_cursor(cursor) if cursor else "", int(limit))


def _filter(given: Mapping[str, str], name: str) -> str | None:
    text = given.get(name)
    if text == "" and name == "prefix":
        return None
    if text is not None and (not 1 <= len(text) <= names.MAX_ID_CHARACTERS):
        message = f"{name} must have 1 to {names.MAX_ID_CHARACTERS} characters."
        raise InvalidListing(message, field=name)
    if text is not None and "\0" in text:
        raise InvalidListing(f"{name} must not contain NUL.", field=name)
    return text


def encode_cursor(last_id: str) -> str:
    """The cursor of the page behind `last_id`; opaque to clients."""
    return base64.urlsafe_b64encode(last_id.encode()).decode().rstrip("=")


def _decode_cursor(cursor: str) -> str:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        last_id = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
        return names.entity_id(last_id)
    except (binascii.Error, ValueError, Invalid):
        message = "cursor is none that this server gave."
        raise InvalidListing(message, field="cursor") from None
