"""What an endpoint function answers: a finished reply, or work whose result makes one.

Endpoint functions do no I/O and know neither Django nor ASGI, so the lane and the DRF
views serve the same ones. Invariant: whoever holds a Pending submits it once.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from flux_project import bugs, metrics
from flux_project.errors import FluxError, InternalError

encode = msgspec.json.Encoder().encode


class Reply(Struct, frozen=True, gc=False):
    """A finished answer: status, JSON body, and headers beyond its type and length."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Write(Struct, frozen=True):
    """Commands for the committer, and how their outcomes become the reply.

    size: about the bytes they hold in memory.
    """

    commands: Sequence[Any]
    size: int
    render: Callable[[Any], Reply]


class Read(Struct, frozen=True):
    """One entity to be read, and how what was found becomes the reply."""

    entity_id: str
    render: Callable[[Any], Reply]


def ok(value: object) -> Reply:
    return Reply(200, encode(value))


def refusal(error: FluxError) -> Reply:
    """The one shape of every error (contract §0), counted by its code."""
    metrics.ERRORS.labels(error.code).inc()
    if isinstance(error, InternalError):
        error = bugs.shared(error)
    headers: tuple[tuple[str, str], ...] = ()
    if error.status == 401:
        headers = (("WWW-Authenticate", "Bearer"),)
    if error.retry_after is not None:
        headers = (*headers, ("Retry-After", str(error.retry_after)))
    return Reply(error.status, encode(error_body(error)), headers)


def identified(reply: Reply, request_id: str) -> Reply:
    """An answer that says which request it is for."""
    return replace(reply, headers=(*reply.headers, ("X-Request-Id", request_id)))


def error_body(error: FluxError) -> dict[str, object]:
    body: dict[str, object] = {"error": error.message, "code": error.code}
    if error.field is not None:
        body["field"] = error.field
    if error.index is not None:
        body["index"] = error.index
    return body
