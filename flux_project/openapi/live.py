"""Descriptions of the live feed (contract §5), which Django does not serve.

OpenAPI has no words for what goes over a socket: the reference has them.
"""

from typing import Any

from flux_project.openapi.parts import Schema, error, operation, query, ref

_UPDATE = (
    'id: 17\ndata: {"type":"state_update","entity_id":"dawn-coral/room-101",'
    '"property":"temperature","value":22.5,'
    '"timestamp":"2025-06-01T09:00:00.123456Z","seq":17}\n\n'
)
_SEQ: Schema = {"type": "integer", "minimum": 0, "maximum": (1 << 63) - 1}
_WANTED = [
    query("entity_id", "Only this entity; `*` is all of them.", ref("EntityId")),
    query(
        "prefix",
        "Only entities whose id begins so.",
        {"type": "string", "maxLength": 512},
    ),
    query(
        "namespace",
        "Only entities of this namespace.",
        {"type": "string", "minLength": 1, "maxLength": 512},
    ),
    query("since", "First what came after this position, from the log.", _SEQ),
    query("snapshot", "First the state as it is now.", {"enum": ["1", "0"]}),
]
_RESUMED: Schema = {
    "in": "header",
    "name": "Last-Event-ID",
    "description": "As `since`, before which it goes: browsers send it by themselves.",
    "schema": _SEQ,
}
_TOO_MANY = {"503": "Too many connections, or the database is away."}

_STREAM = operation(
    "listenToStream",
    tag="Live",
    text=(
        "Listen as Server-Sent Events",
        "Every change as it happens, in the order of the log; at most one of"
        " `entity_id`, `prefix` and `namespace`, and at most one of `since` and"
        " `snapshot`. The `id` of the last frame of each event is its `seq`.",
    ),
    parameters=[*_WANTED, _RESUMED],
    answers={
        "200": {
            "description": "Frames without end, and comments as heartbeats.",
            "content": {
                "text/event-stream": {"schema": {"type": "string"}, "example": _UPDATE}
            },
        }
    },
    errors=_TOO_MANY,
)
_SOCKET = operation(
    "listenOnSocket",
    tag="Live",
    text=(
        "Listen and publish on a WebSocket",
        "The same feed, with subscriptions that change and events to publish. The"
        " query may hold a first subscription. Listening needs no token. Publishing"
        " needs a namespace's in auth mode: in each message, as"
        ' `{"type":"publish","token":"flux_…","event":{…}}`, or in the header'
        " `Authorization` of the handshake, for all messages without one. It is looked"
        " at with every message; what is wrong with it is a frame `error`, and the"
        " connection stays open.",
    ),
    security=[{}, {"namespaceToken": []}],
    parameters=_WANTED,
    answers={
        "101": {"description": "A WebSocket (RFC 6455); its messages are JSON texts."},
        "426": error("426", "The request does not ask for a WebSocket."),
    },
    errors=_TOO_MANY,
)

PATHS: dict[str, Any] = {
    "/api/stream": {"get": _STREAM["operation"]},
    "/api/ws": {"get": _SOCKET["operation"]},
}
