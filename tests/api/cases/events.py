"""Events that are JSON but no events: each field of §1 wrong in each way."""

from tests.api.cases.case import Case, text

_GOOD = {
    "stream": "s",
    "source": "p",
    "payload": {"entity_id": "bad/x", "properties": {"a": 1}},
}


def _with(**fields: object) -> bytes:
    return text({**_GOOD, **fields})


def _without(name: str) -> bytes:
    return text({key: value for key, value in _GOOD.items() if key != name})


def _payload(**fields: object) -> bytes:
    return _with(payload={"entity_id": "bad/x", "properties": {}, **fields})


def _event(name: str, body: bytes, at: str | None, code: str = "invalid_event") -> Case:
    return Case(name, "POST", "/api/events", body, 400, code, at)


_WRONG: list[object] = [1, 1.5, True, None, [], {}, ["s"]]
_NO_OBJECT: list[object] = [1, "x", None, [], True]
_NO_EVENT: list[object] = [1, "x", None, []]
_NO_TEXT: list[object] = [1, True, [], {}]
_NO_LIST: list[object] = [1, "x", None, {}, True, [1], ["a", None], [["a"]]]
_NO_STREAM = [
    "",
    " ",
    "A",
    "sensorS",
    "ä",
    ".a",
    "a.",
    "-a",
    "a-",
    "_a",
    "a_",
    "a..b",
    "a.-b",
    "a b",
    "a/b",
    "a\n",
    "a:b",
    "x" * 201,
]
_NO_ID = {
    "empty": "",
    "513 characters": "x" * 513,
    "513 characters of four bytes": "😀" * 513,
    "a slash first": "/x",
    "a slash alone": "/",
    "a dot": ".",
    "two dots": "..",
    "a line break": "a\nb",
    "a tab": "a\tb",
    "DEL": "a\x7fb",
    "a C1 control": "a\x85b",
}
_NO_TIMESTAMP = {
    "0": 0,
    "-1": -1,
    "beyond the range": 8_640_000_000_000_001,
    "beyond 64 bits": 1 << 80,
    "a float": 1.5,
    "a float without fraction": 1.0,
    "a string": "1748768400000",
    "RFC 3339": "2025-06-01T09:00:00Z",
    "true": True,
    "null": None,
    "a list": [1],
}

EVENTS = [
    *[_event(f"event is {value!r}", text(value), None) for value in _NO_EVENT],
    _event("event is an empty object", b"{}", "stream"),
    *[_event(f"no {name}", _without(name), name) for name in _GOOD],
    *[_event(f"stream is {v!r}", _with(stream=v), "stream") for v in _WRONG],
    *[_event(f"stream is {v[:9]!r}", _with(stream=v), "stream") for v in _NO_STREAM],
    *[_event(f"source is {v!r}", _with(source=v), "source") for v in _WRONG],
    _event("source is empty", _with(source=""), "source"),
    _event("source of 513 characters", _with(source="x" * 513), "source"),
    *[_event(f"payload is {v!r}", _with(payload=v), "payload") for v in _NO_OBJECT],
    _event("no entity_id", _with(payload={"properties": {}}), "payload.entity_id"),
    _event(
        "no properties", _with(payload={"entity_id": "bad/x"}), "payload.properties"
    ),
    *[
        _event(f"entity_id is {v!r}", _payload(entity_id=v), "payload.entity_id")
        for v in _WRONG
    ],
    *[
        _event(
            f"entity_id: {name}",
            _payload(entity_id=v),
            "payload.entity_id",
            "invalid_entity_id",
        )
        for name, v in _NO_ID.items()
    ],
    *[
        _event(f"properties is {v!r}", _payload(properties=v), "payload.properties")
        for v in _NO_OBJECT
    ],
    *[_event(f"unset is {v!r}", _payload(unset=v), "payload.unset") for v in _NO_LIST],
    *[
        _event(f"timestamp: {name}", _with(timestamp=v), "timestamp")
        for name, v in _NO_TIMESTAMP.items()
    ],
    _event("eventId of 201 characters", _with(eventId="x" * 201), "eventId"),
    *[
        _event(f"{name} is {v!r}", _with(**{name: v}), name)
        for name in ("eventId", "key", "schema")
        for v in _NO_TEXT
    ],
    _event("eventId holds NUL", _with(eventId="\0"), None, "nul_character"),
    _event("source holds a surrogate", _with(source="\ud800"), None, "lone_surrogate"),
]

RESERVED = [
    Case(
        f"publishing to {entity_id}",
        "POST",
        "/api/events",
        _payload(entity_id=entity_id),
        403,
        "reserved_namespace",
    )
    for entity_id in ("flux-core/directory", "flux-core/x", "flux-core/")
]

MANY = {f"k{number}": 0 for number in range(5_001)}
TOO_LARGE = [
    Case(
        "5,001 properties",
        "POST",
        "/api/events",
        _payload(properties=MANY),
        413,
        "event_too_large",
        "payload.properties",
    ),
    Case(
        "5,000 properties and one unset",
        "POST",
        "/api/events",
        _payload(properties=dict.fromkeys(list(MANY)[1:], 0), unset=["a"]),
        413,
        "event_too_large",
        "payload.properties",
    ),
    Case(
        "5,001 unset",
        "POST",
        "/api/events",
        _payload(unset=list(MANY)),
        413,
        "event_too_large",
        "payload.properties",
    ),
]
