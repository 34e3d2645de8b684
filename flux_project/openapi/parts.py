"""The pieces that descriptions of operations are made of. Plain OpenAPI 3.1, as dicts.

Invariant: every error answer refers to the one component `Error`.
"""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

_COMMON_ERRORS = {
    "400": "The request is malformed; `error` says how, `field` where.",
    "403": "A page of this origin may not use the server.",
    "408": "The request did not arrive in time.",
    "413": "The body is larger than the limit of this address.",
    "431": "The address and the headers are larger than 64 KiB.",
    "500": "A bug; the reference in `error` stands in the server's log.",
    "503": "Flux cannot answer now. `Retry-After` says when to try again.",
}
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds to wait before trying again.",
        "schema": {"type": "integer", "minimum": 1},
    }
}
_CHALLENGE = {
    "WWW-Authenticate": {
        "description": "What kind of token is needed.",
        "schema": {"const": "Bearer"},
    }
}
_HEADERS: dict[str, Mapping[str, Schema]] = {
    "401": _CHALLENGE,
    "429": _RETRY_AFTER,
    "503": _RETRY_AFTER,
}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def operation(
    name: str,
    *,
    tag: str,
    text: tuple[str, str],
    answers: Mapping[str, Schema],
    errors: Mapping[str, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Arguments for `extend_schema`: `text` is the summary and the description.

    errors: what a status means here, added to those that every operation may answer.
    """
    meanings = dict(sorted((_COMMON_ERRORS | dict(errors or {})).items()))
    failures = {status: error(status, text) for status, text in meanings.items()}
    summary, description = text
    described = {
        "operationId": name,
        "tags": [tag],
        "summary": summary,
        "description": description,
        "responses": {**answers, **failures},
        **more,
    }
    return {"operation": described}


def answer(
    description: str,
    schema: Schema,
    *,
    example: object,
    headers: Mapping[str, Schema] | None = None,
) -> Schema:
    content = {"application/json": {"schema": schema, "example": example}}
    described: Schema = {"description": description, "content": content}
    if headers:
        described["headers"] = dict(headers)
    return described


def error(status: str, description: str) -> Schema:
    described: Schema = {
        "description": description,
        "content": {"application/json": {"schema": ref("Error")}},
    }
    if status in _HEADERS:
        described["headers"] = dict(_HEADERS[status])
    return described


def body(
    schema: Schema, *, description: str, examples: Mapping[str, tuple[str, object]]
) -> Schema:
    """A request body; examples by name: what they show, and the value."""
    shown = {
        name: {"summary": summary, "value": value}
        for name, (summary, value) in examples.items()
    }
    content = {"application/json": {"schema": schema, "examples": shown}}
    return {"required": True, "description": description, "content": content}


def query(name: str, description: str, schema: Schema, **more: Any) -> Schema:
    return {
        "in": "query",
        "name": name,
        "description": description,
        "schema": schema,
        **more,
    }


def header(description: str, schema: Schema) -> Schema:
    return {"description": description, "schema": schema}


NEXT_LINK = {
    "Link": header(
        'The address of the next page, as `<…>; rel="next"`; absent on the last one.',
        {"type": "string"},
    )
}
