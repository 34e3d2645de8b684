"""The endpoints of single entities and of deletes: Reply, Read or Write (§§3, 4).

No I/O, no Django, no ASGI: the lane and the DRF views both call these. Invariant: an id
that reaches a command or a query here is valid and not the server's own.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from events import exact, permits
from events.commands import Command, Delete, Deleted, DeleteMatching, Outcome, Stored
from events.endpoints import limited
from flux_project.errors import FluxError, Invalid
from flux_project.reply import Read, Reply, Write, ok, refusal
from namespaces import names
from namespaces.grants import Grant
from state.reader import Found
from state.selection import Selection

MAX_BATCH_DELETE = 10_000
_FILTERS = ("namespace", "prefix", "entity_ids")


class InvalidFilter(Invalid):
    """A batch delete takes exactly one of namespace, prefix and entity_ids."""

    code = "invalid_filter"


def get_entity(entity_id: str, *, if_none_match: str | None = None) -> Reply | Read:
    """`GET /api/state/entities/:id`, with its ETag."""
    try:
        names.entity_id(entity_id)
    except FluxError as error:
        return refusal(error)

    def render(found: Found | FluxError) -> Reply:
        if isinstance(found, FluxError):
            return refusal(found)
        etag = f'"{found.tag}"'
        if if_none_match is not None and _matches(if_none_match, etag):
            return Reply(304, b"", (("ETag", etag),))
        return Reply(200, found.body or b"", (("ETag", etag),))

    return Read(entity_id, render)


def _matches(if_none_match: str, etag: str) -> bool:
    """Whether an If-None-Match header names this version (RFC 9110 §13.1.2: weakly)."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or "*" in tags


def delete_entity(entity_id: str, grant: Grant | None = None) -> Reply | Write:
    """`DELETE /api/state/entities/:id`: appends a tombstone.

    grant: the token's it came with; None in open mode.
    """
    command = Delete(entity_id, grant)
    try:
        names.entity_id(entity_id)
        if grant is not None:
            names.require_namespace(entity_id, field="entity_id")
        names.refuse_reserved(names.namespace_of(entity_id))
        _check(command, grant)
    except FluxError as error:
        return limited(refusal(error), grant)

    def render(outcomes: Sequence[Outcome]) -> Reply:
        outcome = outcomes[0]
        if isinstance(outcome, Stored):
            placed = {"entity_id": entity_id, "eventId": outcome.event_id}
            return limited(ok(placed), grant)
        return limited(_refusal(outcome), grant)

    return Write([command], len(entity_id), render)


def _check(command: Command, grant: Grant | None) -> None:
    """Raises what forbids it to its token."""
    refused = None if grant is None else permits.refusal(command, grant)
    if refused is not None:
        raise refused


def delete_matching(body: bytes, grant: Grant | None = None) -> Reply | Write:
    """`POST /api/state/entities/delete`: by exactly one filter."""
    try:
        selection = _selection(_object(body), is_open=grant is None)
        command = DeleteMatching(selection, MAX_BATCH_DELETE, grant)
        _check(command, grant)
    except FluxError as error:
        return limited(refusal(error), grant)

    def render(outcomes: Sequence[Outcome]) -> Reply:
        outcome = outcomes[0]
        if not isinstance(outcome, Deleted):
            return limited(_refusal(outcome), grant)
        told = {
            "deleted": outcome.count,
            "failed": len(outcome.missing),
            "errors": [
                f"Entity not found: {entity_id}" for entity_id in outcome.missing
            ],
        }
        return limited(ok(told), grant)

    return Write([command], len(body), render)


def _refusal(outcome: Outcome) -> Reply:
    if isinstance(outcome, FluxError):
        return refusal(outcome)
    message = f"no delete has the outcome {outcome!r}"
    raise TypeError(message)


def _object(body: bytes) -> dict[str, Any]:
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise _fault(body) from None
    if not isinstance(given, dict):
        message = "The body must be a JSON object."
        raise InvalidFilter(message)
    return given


def _fault(body: bytes) -> FluxError:
    """Why msgspec did not decode a body: the same answer as for an event's."""
    try:
        exact.utf8(body)
        for _ in exact.elements(body):
            pass
        exact.check(body)
    except FluxError as error:
        return error
    return InvalidFilter("The body cannot be decoded.")


def _selection(given: dict[str, Any], *, is_open: bool) -> Selection:
    named = [name for name in _FILTERS if name in given]
    if len(named) != 1:
        raise InvalidFilter
    field = named[0]
    if field == "entity_ids":
        return Selection(ids=_ids(given[field], is_open=is_open))
    text = filter_text(given[field], field=field)
    if field == "namespace":
        names.refuse_reserved(text)
        return Selection(namespace=text)
    if text.startswith(f"{names.RESERVED_NAMESPACE}/"):
        raise names.ReservedNamespace
    return Selection(prefix=text)


def filter_text(value: object, *, field: str) -> str:
    """A namespace or prefix to filter by: the beginning of an id."""
    if not isinstance(value, str) or not value:
        raise InvalidFilter(f"{field} must be a string that is not empty.", field=field)
    if len(value) > names.MAX_ID_CHARACTERS or not value.isprintable():
        names.entity_id(value.replace("/", "x"), field=field)
    return value


def _ids(value: object, *, is_open: bool) -> tuple[str, ...]:
    field = "entity_ids"
    is_list = isinstance(value, list) and all(isinstance(item, str) for item in value)
    if not is_list or not value:
        message = f"{field} must be a list of strings that is not empty."
        raise InvalidFilter(message, field=field)
    ids = tuple(dict.fromkeys(value))  # type: ignore[call-overload]  # a list, by is_list
    if len(ids) > MAX_BATCH_DELETE:
        message = f"{field} must name at most {MAX_BATCH_DELETE} entities."
        raise InvalidFilter(message, field=field)
    for entity_id in ids:
        names.entity_id(entity_id, field=field)
        if not is_open:
            names.require_namespace(entity_id, field=field)
    for entity_id in ids:  # what is malformed goes before what is forbidden (§0)
        names.refuse_reserved(names.namespace_of(entity_id))
    return ids
