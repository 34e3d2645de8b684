"""The bodies of requests about namespaces and tokens → values, checked (contract §6).

Invariant: what is made here is within its bounds; unknown fields are ignored.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.utils import timezone
from msgspec import Struct

from flux_project.errors import Invalid
from namespaces import names
from namespaces.grants import Scope

MAX_LABEL_CHARACTERS = 100
MAX_EXPIRY_SECONDS = 10 * 365 * 86_400
MAX_OVERLAP_SECONDS = 30 * 86_400
_SCOPES_RULE = f"scopes must be a list of some of {', '.join(Scope)}."


class InvalidToken(Invalid):
    """This is no valid description of a token."""

    code = "invalid_token_request"


class InvalidBody(Invalid):
    """The body must be a JSON object."""

    code = "invalid_body"


class TokenWanted(Struct, frozen=True):
    """A token to be made. prefix: None for all of the namespace; until: None: for ever.

    Who names no scopes gets a token that publishes.
    """

    label: str
    scopes: tuple[Scope, ...] = (Scope.PUBLISH,)
    prefix: str | None = None
    until: datetime | None = None


class Rotation(Struct, frozen=True):
    """How long the old secret of a token works beside the new one."""

    overlap_seconds: int = 0


def decoded(body: bytes, *, may_be_empty: bool = False) -> Mapping[str, Any]:
    """A body that is a JSON object. Raises InvalidBody."""
    if may_be_empty and not body.strip():
        return {}
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise InvalidBody from None
    if not isinstance(given, dict):
        raise InvalidBody
    return given


def token_wanted(given: Mapping[str, Any], *, namespace: str) -> TokenWanted:
    """`{"label", "scopes"?, "prefix"?, "expires_in_seconds"?}`. Raises InvalidToken."""
    seconds = given.get("expires_in_seconds")
    until = None
    if seconds is not None:
        whole = _whole(seconds, "expires_in_seconds", 1, MAX_EXPIRY_SECONDS)
        until = timezone.now() + timedelta(seconds=whole)
    return TokenWanted(
        label=_label(given.get("label")),
        scopes=_scopes(given.get("scopes")),
        prefix=_prefix(given.get("prefix"), namespace),
        until=until,
    )


def rotation(given: Mapping[str, Any]) -> Rotation:
    """`{"overlap_seconds"?}`. Raises InvalidToken."""
    seconds = given.get("overlap_seconds")
    if seconds is None:
        return Rotation()
    return Rotation(_whole(seconds, "overlap_seconds", 0, MAX_OVERLAP_SECONDS))


def _label(value: object) -> str:
    is_fine = isinstance(value, str) and value.isprintable() and value.strip()
    if not is_fine or len(value) > MAX_LABEL_CHARACTERS:  # type: ignore[arg-type]  # by is_fine
        message = f"label must have 1 to {MAX_LABEL_CHARACTERS} printable characters."
        raise InvalidToken(message, field="label")
    return str(value).strip()


def _scopes(value: object) -> tuple[Scope, ...]:
    if value is None:
        return (Scope.PUBLISH,)
    known = set(Scope)
    if not isinstance(value, list) or not value:
        raise InvalidToken(_SCOPES_RULE, field="scopes")
    if not all(isinstance(one, str) and one in known for one in value):
        raise InvalidToken(_SCOPES_RULE, field="scopes")
    return tuple(scope for scope in Scope if scope in value)


def _prefix(value: object, namespace: str) -> str | None:
    if value is None:
        return None
    own = f"{namespace}/"
    if not isinstance(value, str) or not value.startswith(own):
        message = f"prefix must begin with {own}: a token is for one namespace."
        raise InvalidToken(message, field="prefix")
    return names.entity_id(value, field="prefix")


def _whole(value: object, field: str, low: int, high: int) -> int:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or not low <= value <= high:  # type: ignore[operator]  # by is_whole
        message = f"{field} must be a whole number from {low} to {high}."
        raise InvalidToken(message, field=field)
    return int(value)  # type: ignore[call-overload, no-any-return]  # by is_whole
