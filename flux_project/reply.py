"""What an endpoint function answers: a finished reply, or work whose result makes one.

Endpoint functions do no I/O and know neither Django nor ASGI, so the lane and the DRF
views serve the same ones. Invariant: whoever holds a Pending submits it once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from flux_project.errors import FluxError

encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Reply:
    """A finished answer: status, JSON body, and headers beyond its type and length."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Write:
    """Commands for the committer, and how their outcomes become the reply."""

    commands: Sequence[object]
    size: int
    render: Callable[[Sequence[object]], Reply]


@dataclass(frozen=True, slots=True)
class Read:
    """One entity to be read, and how what was found becomes the reply."""

    entity_id: str
    render: Callable[[object], Reply]


def ok(value: object) -> Reply:
    return Reply(200, encode(value))


def refusal(error: FluxError) -> Reply:
    """The one shape of every error (contract §0)."""
    headers: tuple[tuple[str, str], ...] = ()
    if error.status == 401:
        headers = (("WWW-Authenticate", "Bearer"),)
    if error.retry_after is not None:
        headers = (*headers, ("Retry-After", str(error.retry_after)))
    return Reply(error.status, encode(error_body(error)), headers)


def error_body(error: FluxError) -> dict[str, object]:
    body: dict[str, object] = {"error": error.message, "code": error.code}
    if error.field is not None:
        body["field"] = error.field
    if error.index is not None:
        body["index"] = error.index
    return body
