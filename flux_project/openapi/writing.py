"""Descriptions of the operations that append to the log (contract §§1, 4)."""

from flux_project.openapi.parts import answer, body, operation, ref
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
_RESERVED = (
    "A page of this origin may not use the server, or the namespace is reserved."
)
_GONE = "There is no such entity."

PUBLISH = operation(
    "publishEvent",
    tag="Events",
    text=(
        "Publish one event",
        "A 200 means: committed to disk, the state already derived; the next read by"
        " anyone sees it. Unknown fields are ignored, a repeated key keeps its last"
        " value. Give an `eventId` whenever the request may have to be sent again.",
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
    errors={
        "403": _RESERVED,
        "413": "The body, the event or the entity is too large.",
    },
)

PUBLISH_BATCH = operation(
    "publishEvents",
    tag="Events",
    text=(
        "Publish many events",
        "A bad event fails alone; the others commit together, in order, with"
        " consecutive `seq`. The status is 200 even when all fail: look at `failed`.",
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
)

DELETE_ENTITY = operation(
    "deleteEntity",
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
    errors={"403": _RESERVED, "404": _GONE},
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

DELETE_MATCHING = operation(
    "deleteEntities",
    tag="Entities",
    text=(
        "Delete many entities",
        "By exactly one filter. More than 10,000 matches: 400, and nothing is deleted."
        " Ids that do not exist are counted as failures; one listed twice counts once.",
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
    errors={"403": _RESERVED},
)
