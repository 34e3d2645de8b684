"""The shapes of what goes in and out, each named once (contract §§0-4, 7-9)."""

from flux_project.openapi.parts import Schema, ref

_TIME: Schema = {
    "type": "string",
    "format": "date-time",
    "description": "RFC 3339 in UTC, with `Z`.",
}
_SEQ: Schema = {
    "type": "integer",
    "minimum": 1,
    "description": "Position in the log: 1, 2, 3 … without holes, in commit order.",
}
_NO_CONTROL = r"[^\u0000-\u001f\u007f-\u009f]"

ENTITY_ID: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 512,
    "pattern": rf"^[^/\u0000-\u001f\u007f-\u009f]{_NO_CONTROL}*$",
    "description": "No control characters, no `/` at its beginning, not `.` or `..`."
    " The text before its first `/` is its namespace; without one: `default`.",
}
_EVENT_ID: Schema = {
    "type": ["string", "null"],
    "maxLength": 200,
    "description": "Unique per namespace. Sending it again answers the first answer"
    " with `duplicate`, whatever else the event says. Default: a UUIDv7.",
}
_STREAM: Schema = {
    "type": "string",
    "maxLength": 200,
    "pattern": "^[a-z0-9]+([._-][a-z0-9]+)*$",
}
_SOURCE: Schema = {"type": "string", "minLength": 1, "maxLength": 512}
_TEXT: Schema = {"type": ["string", "null"], "description": "Kept as sent."}

PAYLOAD: Schema = {
    "type": "object",
    "required": ["entity_id", "properties"],
    "description": "Other keys than these are kept in the log.",
    "properties": {
        "entity_id": ref("EntityId"),
        "properties": {
            "type": "object",
            "additionalProperties": True,
            "maxProperties": 5000,
            "description": "Each replaces the entity's property of that name."
            " `__deleted__: true` deletes the entity.",
        },
        "unset": {
            "type": "array",
            "items": {"type": "string"},
            "maxItems": 5000,
            "description": "Properties to remove, before `properties` are set.",
        },
    },
}

EVENT: Schema = {
    "type": "object",
    "required": ["stream", "source", "payload"],
    "properties": {
        "stream": _STREAM,
        "source": _SOURCE,
        "payload": ref("Payload"),
        "timestamp": {
            "type": "integer",
            "minimum": 1,
            "maximum": 8_640_000_000_000_000,
            "description": "When it happened, in epoch milliseconds. Default: now.",
        },
        "eventId": _EVENT_ID,
        "key": _TEXT,
        "schema": _TEXT,
    },
}

PUBLISHED: Schema = {
    "type": "object",
    "required": ["eventId", "stream", "seq"],
    "properties": {
        "eventId": {"type": "string"},
        "stream": {"type": "string"},
        "seq": _SEQ,
        "duplicate": {
            "const": True,
            "description": "The event was there already; nothing changed.",
        },
    },
}

BATCH_RESULT: Schema = {
    "type": "object",
    "required": ["eventId", "stream", "seq", "error"],
    "description": "What became of one event. `error` is null on success, the others"
    " are null on failure.",
    "properties": {
        "eventId": {"type": ["string", "null"]},
        "stream": {"type": ["string", "null"]},
        "seq": {"type": ["integer", "null"]},
        "error": {"type": ["string", "null"]},
        "code": {"type": "string", "description": "On failure: as in `Error`."},
        "duplicate": {"const": True},
    },
}

STORED_EVENT: Schema = {
    "type": "object",
    "required": [
        "eventId",
        "stream",
        "source",
        "timestamp",
        "payload",
        "seq",
        "receivedAt",
    ],
    "properties": {
        "eventId": {"type": "string"},
        "stream": {"type": "string"},
        "source": {"type": "string"},
        "timestamp": {"type": "integer", "description": "The producer's clock."},
        "payload": {
            "type": "object",
            "description": "As it was sent: key order and the text of numbers too.",
        },
        "key": {"type": "string", "description": "When the event has one."},
        "schema": {"type": "string", "description": "When the event has one."},
        "seq": _SEQ,
        "receivedAt": _TIME,
    },
}

ENTITY: Schema = {
    "type": "object",
    "required": ["id", "properties", "lastUpdated", "version", "seq"],
    "properties": {
        "id": {"type": "string"},
        "properties": {"type": "object", "additionalProperties": True},
        "lastUpdated": _TIME,
        "version": {
            "type": "integer",
            "minimum": 1,
            "description": "Events applied since the entity was (re)created.",
        },
        "seq": {"type": "integer", "description": "The last event applied."},
    },
}

_BYTES: Schema = {"type": "integer", "minimum": 1024}
CONFIG_FIELDS: dict[str, Schema] = {
    "rate_limit_enabled": {"type": "boolean"},
    "rate_limit_per_namespace_per_minute": {
        "type": "integer",
        "minimum": 1,
        "maximum": 10_000_000,
    },
    "body_size_limit_single_bytes": {**_BYTES, "maximum": 64 << 20},
    "body_size_limit_batch_bytes": {**_BYTES, "maximum": 256 << 20},
}

ERROR: Schema = {
    "type": "object",
    "required": ["error", "code"],
    "properties": {
        "error": {"type": "string", "description": "A sentence for people."},
        "code": {
            "type": "string",
            "pattern": "^[a-z0-9_]+$",
            "description": "For programs; never changes.",
        },
        "field": {"type": "string", "description": "The part of the request."},
        "index": {"type": "integer", "description": "Its place in a list."},
    },
}

COMPONENTS: dict[str, Schema] = {
    "Config": {
        "type": "object",
        "required": list(CONFIG_FIELDS),
        "properties": CONFIG_FIELDS,
    },
    "ConfigChange": {"type": "object", "properties": CONFIG_FIELDS},
    "Entity": ENTITY,
    "EntityId": ENTITY_ID,
    "Error": ERROR,
    "Event": EVENT,
    "Payload": PAYLOAD,
    "Published": PUBLISHED,
    "BatchResult": BATCH_RESULT,
    "StoredEvent": STORED_EVENT,
}
