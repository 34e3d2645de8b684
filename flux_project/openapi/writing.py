"""Descriptions of the operations that append to the log (contract §§1, 4)."""

from collections.abc import Mapping
from typing import Any

from flux_project.openapi.parts import Schema, answer, body, header, operation, ref
from flux_project.openapi.schemas import ENTITY_ID

_ROOM = {
    "stream": "sensors",
    "source": "agent-01",
    "payload": {
        "entity_id": "dawn-coral/room-101",
        "properties": {"temperature": 22.5, "unit": "celsius"},
    },
}
_REPEATABLE = {
    **_ROOM,
    "eventId": "room-101-0900",
    "timestamp": 1748768400000,
    "key": "room-101",
}
_REMOVING = {
    **_ROOM,
    "payload": {
        "entity_id": "dawn-coral/room-101",
        "properties": {},
        "unset": ["unit"],
    },
}
_PUBLISHED = {"eventId": "room-101-0900", "stream": "sensors", "seq": 1}
_NOT_USABLE = "Auth mode: no token, or one that is unknown, revoked or expired."
_NOT_ALLOWED = (
    "A page of this origin may not use the server, or the namespace is reserved."
    " Auth mode: the token is another namespace's or for another prefix, lacks the"
    " scope `{scope}`, or its namespace is suspended."
)
_OVER_LIMIT = (
    "Auth mode: the namespace is over its rate limit, or too many tokens from this"
    " address were no good."
)
_GONE = "There is no such entity."
_RATE_LIMIT = {
    "RateLimit-Policy": header(
        "Auth mode, while there is a limit: `q` events in `w` seconds.",
        {"type": "string", "example": '"namespace";q=10000;w=60'},
    ),
    "RateLimit": header(
        "Auth mode, while there is a limit: `r` events may be written now, and the"
        " namespace may write all of them again in `t` seconds.",
        {"type": "string", "example": '"namespace";r=9990;t=1'},
    ),
}
# What is answered before it is known whose token it is, or after nobody knows it.
_UNLIMITED = {"401", "408", "431", "500", "503"}


def _write(
    name: str,
    *,
    scope: str,
    answers: Mapping[str, Schema],
    errors: Mapping[str, str],
    **more: Any,
) -> dict[str, Any]:
    """An operation that takes a namespace's token in auth mode, and needs none in open
    mode."""
    meanings = {
        "401": _NOT_USABLE,
        "403": _NOT_ALLOWED.format(scope=scope),
        "429": _OVER_LIMIT,
        **errors,
    }
    described = operation(
        name,
        answers=answers,
        errors=meanings,
        security=[{"namespaceToken": []}, {}],
        **more,
    )
    for status, answered in described["operation"]["responses"].items():
        if status not in _UNLIMITED:
            answered["headers"] = answered.get("headers", {}) | _RATE_LIMIT
    return described


PUBLISH = _write(
    "publishEvent",
    scope="publish",
    tag="Events",
    text=(
        "Publish one event",
        "A 200 means: committed to disk, the state already derived; the next read by"
        " anyone sees it. Unknown fields are ignored, a repeated key keeps its last"
        " value. Give an `eventId` whenever the request may have to be sent again. In"
        " auth mode the id's namespace is the token's, and a tombstone needs the scope"
        " `delete` instead of `publish`.",
    ),
    requestBody=body(
        ref("Event"),
        description="One event, at most `body_size_limit_single_bytes` (1 MiB).",
        examples={
            "simple": ("The least there is", _ROOM),
            "repeatable": ("One that may be sent again", _REPEATABLE),
            "unset": ("One that removes a property", _REMOVING),
        },
    ),
    answers={
        "200": answer("It is stored.", ref("Published"), example=_PUBLISHED),
    },
    errors={"413": "The body, the event or the entity is too large."},
)

PUBLISH_BATCH = _write(
    "publishEvents",
    scope="publish",
    tag="Events",
    text=(
        "Publish many events",
        "A bad event fails alone; the others commit together, in order, with"
        " consecutive `seq`. The status is 200 even when all fail: look at `failed`. In"
        " auth mode an event that its token does not cover, or that is beyond the rate"
        " limit, fails alone too; without a usable token the whole request is a 401.",
    ),
    requestBody=body(
        {
            "oneOf": [
                {
                    "type": "object",
                    "required": ["events"],
                    "properties": {
                        "events": {
                            "type": "array",
                            "minItems": 1,
                            "items": ref("Event"),
                        }
                    },
                },
                {"type": "array", "minItems": 1, "items": ref("Event")},
            ]
        },
        description="A list of events, alone or as `events`; together at most"
        " `body_size_limit_batch_bytes` (10 MiB), and no more items than the smallest"
        " events of 71 bytes fit in.",
        examples={
            "object": ("As an object", {"events": [_ROOM, _REMOVING]}),
            "list": ("As a bare list", [_ROOM]),
        },
    ),
    answers={
        "200": answer(
            "Each event has its result, in the order of the request.",
            {
                "type": "object",
                "required": ["successful", "failed", "results"],
                "properties": {
                    "successful": {"type": "integer"},
                    "failed": {"type": "integer"},
                    "results": {"type": "array", "items": ref("BatchResult")},
                },
            },
            example={
                "successful": 1,
                "failed": 0,
                "results": [{**_PUBLISHED, "error": None}],
            },
        )
    },
    errors={
        "403": "A page of this origin may not use the server.",
        "429": "Auth mode: too many tokens from this address were no good.",
    },
)

DELETE_ENTITY = _write(
    "deleteEntity",
    scope="delete",
    tag="Entities",
    text=(
        "Delete one entity",
        "Appends a tombstone to the log; the entity's history stays. A later event"
        " starts the entity afresh.",
    ),
    parameters=[
        {
            "in": "path",
            "name": "entity_id",
            "required": True,
            "description": "As it is or percent-encoded: `a/b` and `a%2Fb` are one id.",
            "schema": ref("EntityId"),
        }
    ],
    answers={
        "200": answer(
            "It is gone.",
            {
                "type": "object",
                "required": ["entity_id", "eventId"],
                "properties": {
                    "entity_id": {"type": "string"},
                    "eventId": {"type": "string"},
                },
            },
            example={"entity_id": "dawn-coral/room-101", "eventId": "0197…"},
        )
    },
    errors={"404": _GONE},
)

_FILTERS = {
    "namespace": {"type": "string", "minLength": 1, "maxLength": 512},
    "prefix": {"type": "string", "minLength": 1, "maxLength": 512},
    "entity_ids": {
        "type": "array",
        "items": ENTITY_ID,
        "minItems": 1,
        "maxItems": 10_000,
    },
}

DELETE_MATCHING = _write(
    "deleteEntities",
    scope="delete",
    tag="Entities",
    text=(
        "Delete many entities",
        "By exactly one filter. More than 10,000 matches: 400, and nothing is deleted."
        " Ids that do not exist are counted as failures; one listed twice counts once."
        " In auth mode nothing is deleted either when some of it is not the token's or"
        " when it is more than the rate limit allows; each deletion is an event.",
    ),
    requestBody=body(
        {
            "oneOf": [
                {"type": "object", "required": [name], "properties": {name: schema}}
                for name, schema in _FILTERS.items()
            ]
        },
        description="Exactly one of `namespace`, `prefix` and `entity_ids`.",
        examples={
            "namespace": ("A whole namespace", {"namespace": "dawn-coral"}),
            "prefix": ("What begins alike", {"prefix": "dawn-coral/room-"}),
            "ids": ("These", {"entity_ids": ["dawn-coral/room-101"]}),
        },
    ),
    answers={
        "200": answer(
            "What matched is gone.",
            {
                "type": "object",
                "required": ["deleted", "failed", "errors"],
                "properties": {
                    "deleted": {"type": "integer"},
                    "failed": {"type": "integer"},
                    "errors": {"type": "array", "items": {"type": "string"}},
                },
            },
            example={"deleted": 2, "failed": 0, "errors": []},
        )
    },
    errors={},
)
