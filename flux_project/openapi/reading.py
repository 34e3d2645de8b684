"""Descriptions of the operations that read the log and the state (contract §3)."""

from flux_project.openapi.parts import (
    NEXT_LINK,
    Schema,
    answer,
    header,
    operation,
    query,
    ref,
)

_ENTITY = {
    "id": "dawn-coral/room-101",
    "properties": {"temperature": 22.5, "unit": "celsius"},
    "lastUpdated": "2025-06-01T09:00:00.123456Z",
    "version": 3,
    "seq": 17,
}
_EVENT = {
    "eventId": "room-101-0900",
    "stream": "sensors",
    "source": "agent-01",
    "timestamp": 1748768400000,
    "payload": {
        "entity_id": "dawn-coral/room-101",
        "properties": {"temperature": 22.5},
    },
    "seq": 17,
    "receivedAt": "2025-06-01T09:00:00.123456Z",
}
_ETAG = {"ETag": header('`"v<version>-<seq>"`', {"type": "string"})}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_FILTER: Schema = {"type": "string", "minLength": 1, "maxLength": 512}

HISTORY = operation(
    "readEvents",
    tag="Events",
    text=(
        "Read the log",
        "Newest event first. All filters together (AND). When they match rarely, a"
        " page may be shorter than `limit`, even empty; as long as older events remain"
        " it has a `Link` to the next page.",
    ),
    parameters=[
        query("entity", "Events of this entity.", ref("EntityId")),
        query("stream", "Events of this stream.", _FILTER),
        query("source", "Events of this source.", _FILTER),
        query("namespace", "Events of this namespace.", _FILTER),
        query("since", "Received at this time or later; with an offset.", _MOMENT),
        query("until", "Received before this time; with an offset.", _MOMENT),
        query(
            "before",
            "Events below this position, to page back.",
            {"type": "integer", "minimum": 1, "maximum": (1 << 63) - 1},
        ),
        query(
            "limit",
            "How many events at most.",
            {"type": "integer", "minimum": 1, "maximum": 500, "default": 100},
        ),
    ],
    answers={
        "200": answer(
            "A page of events, newest first.",
            {"type": "array", "items": ref("StoredEvent")},
            example=[_EVENT],
            headers=NEXT_LINK,
        )
    },
)

LIST_ENTITIES = operation(
    "listEntities",
    tag="Entities",
    text=(
        "List entities",
        "In the order of their ids. Without `limit` the whole list is streamed; with"
        " it, follow the `Link` header from page to page.",
    ),
    parameters=[
        query("namespace", "Entities of this namespace, exactly.", _FILTER),
        query(
            "prefix",
            "Entities whose id begins so; upper and lower case differ.",
            {"type": "string", "maxLength": 512},
        ),
        query(
            "limit",
            "How many entities at most.",
            {"type": "integer", "minimum": 1, "maximum": 10_000},
        ),
        query(
            "cursor",
            "Where to go on, as the `Link` header of a page said; needs `limit`.",
            {"type": "string"},
        ),
    ],
    answers={
        "200": answer(
            "The entities.",
            {"type": "array", "items": ref("Entity")},
            example=[_ENTITY],
            headers=NEXT_LINK,
        )
    },
)

GET_ENTITY = operation(
    "getEntity",
    tag="Entities",
    text=(
        "Read one entity",
        "As it is after every event that was acknowledged before this request.",
    ),
    parameters=[
        {
            "in": "path",
            "name": "entity_id",
            "required": True,
            "description": "As it is or percent-encoded: `a/b` and `a%2Fb` are one id.",
            "schema": ref("EntityId"),
        },
        {
            "in": "header",
            "name": "If-None-Match",
            "description": "ETags that the client has; one of them current: 304.",
            "schema": {"type": "string"},
        },
    ],
    answers={
        "200": answer("The entity.", ref("Entity"), example=_ENTITY, headers=_ETAG),
        "304": {"description": "The client has it already.", "headers": _ETAG},
    },
    errors={"404": "There is no such entity."},
)
