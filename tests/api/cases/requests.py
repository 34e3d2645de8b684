"""Batches, deletes, reads and settings that are wrong, and what is nowhere at all."""

from tests.api.cases.case import Case, text
from tests.api.cases.values import EVENT, MIB
from tests.support.client import ADMIN_HEADER

_DELETE = "/api/state/entities/delete"
_CONFIG = "/api/admin/config"

_NO_BATCH = {
    "an empty list": b"[]",
    "no events in it": b'{"events":[]}',
    "an empty object": b"{}",
    "events is null": b'{"events":null}',
    "events is an object": b'{"events":{}}',
    "events is a string": b'{"events":"x"}',
    "another name": b'{"event":[{}]}',
    "a number": b"1",
    "null": b"null",
    "a string": b'"x"',
    "the last of two lists counts": b'{"events":[{}],"events":[]}',
}
_NO_JSON = {
    "nothing": b"",
    "an open list": b"[" + EVENT % b"{}",
    "a byte that is no UTF-8": b"[" + EVENT % b'{"a":"\xff"}' + b"]",
    "NaN": b"[" + EVENT % b'{"a":NaN}' + b"]",
    "a byte order mark": b"\xef\xbb\xbf[" + EVENT % b"{}" + b"]",
    "10 MiB of brackets": b"[" * (10 * MIB),
    "events one per line": (EVENT % b"{}" + b"\n") * 2,
}
BATCHES = [
    Case(f"batch: {name}", "POST", "/api/events/batch", body, 400, code, at)
    for table, code, at in (
        (_NO_BATCH, "invalid_event", "events"),
        (_NO_JSON, "invalid_json", None),
    )
    for name, body in table.items()
]

_NO_FILTER = {
    "a list": (b"[]", None),
    "null": (b"null", None),
    "no filter": (b"{}", None),
    "another filter": (b'{"id":"a"}', None),
    "two filters": (b'{"prefix":"a","namespace":"a"}', None),
    "three filters": (b'{"prefix":"a","namespace":"a","entity_ids":["a"]}', None),
    "one filter and null": (b'{"prefix":"a","namespace":null}', None),
    "an empty prefix": (b'{"prefix":""}', "prefix"),
    "an empty namespace": (b'{"namespace":""}', "namespace"),
    "no ids": (b'{"entity_ids":[]}', "entity_ids"),
    "prefix is null": (b'{"prefix":null}', "prefix"),
    "prefix is a number": (b'{"prefix":1}', "prefix"),
    "namespace is a list": (b'{"namespace":["a"]}', "namespace"),
    "ids is a string": (b'{"entity_ids":"a"}', "entity_ids"),
    "ids is an object": (b'{"entity_ids":{"a":1}}', "entity_ids"),
    "ids holds a number": (b'{"entity_ids":["a",1]}', "entity_ids"),
    "ids holds null": (b'{"entity_ids":[null]}', "entity_ids"),
    "10,001 ids": (text({"entity_ids": [f"{n}" for n in range(10_001)]}), "entity_ids"),
}
_NO_IDS = {
    "an empty id": (b'{"entity_ids":["a",""]}', "entity_ids"),
    "an id that begins with a slash": (b'{"entity_ids":["/a"]}', "entity_ids"),
    "an id with NUL": (b'{"entity_ids":["\\u0000"]}', "entity_ids"),
    "a prefix with NUL": (b'{"prefix":"\\u0000"}', "prefix"),
    "a prefix that no id can have": (b'{"prefix":"' + b"x" * 513 + b'"}', "prefix"),
}
_RESERVED = {
    "a reserved namespace": b'{"namespace":"flux-core"}',
    "a reserved prefix": b'{"prefix":"flux-core/"}',
    "a prefix inside what is reserved": b'{"prefix":"flux-core/dir"}',
    "a reserved id": b'{"entity_ids":["a","flux-core/directory"]}',
}
_NO_OBJECT = {
    "no JSON": (b"{", "invalid_json"),
    "nothing": (b"", "invalid_json"),
    "NaN": (b'{"prefix":NaN}', "invalid_json"),
    "no UTF-8": (b'{"prefix":"\xff"}', "invalid_json"),
    "10 MiB of brackets": (b"[" * (10 * MIB), "invalid_json"),
    "a surrogate": (b'{"prefix":"\\ud800"}', "lone_surrogate"),
    "1e999": (b'{"prefix":"a","more":1e999}', "number_out_of_range"),
}
DELETES = [
    Case(f"delete: {name}", "POST", _DELETE, body, 400, code)
    for name, (body, code) in _NO_OBJECT.items()
] + [
    Case(f"delete: {name}", "POST", _DELETE, body, status, code, at)
    for table, status, code in (
        (_NO_FILTER, 400, "invalid_filter"),
        (_NO_IDS, 400, "invalid_entity_id"),
        (
            {name: (body, None) for name, body in _RESERVED.items()},
            403,
            "reserved_namespace",
        ),
    )
    for name, (body, at) in table.items()
]

_CHANGES = {
    "no JSON": (b"{", None),
    "nothing": (b"", None),
    "a list": (b"[]", None),
    "null": (b"null", None),
    "a word for a switch": (b'{"rate_limit_enabled":"yes"}', "rate_limit_enabled"),
    "1 for a switch": (b'{"rate_limit_enabled":1}', "rate_limit_enabled"),
    "null for a switch": (b'{"rate_limit_enabled":null}', "rate_limit_enabled"),
} | {
    f"{name} = {value}": (b'{"%b":%b}' % (name.encode(), value.encode()), name)
    for name, values in {
        "rate_limit_per_namespace_per_minute": ["0", "-1", "10000001"],
        "body_size_limit_single_bytes": ["1023", "67108865", "1e9"],
        "body_size_limit_batch_bytes": ["1023", "268435457", "99999999999999999999"],
    }.items()
    for value in [*values, "null", "true", "1.5", '"4096"', "[]"]
}
SETTINGS = [
    Case(
        f"config: {name}",
        "PUT",
        _CONFIG,
        body,
        400,
        "invalid_config",
        at,
        {"authorization": ADMIN_HEADER},
    )
    for name, (body, at) in _CHANGES.items()
] + [
    Case(
        f"config with {name}",
        "PUT",
        _CONFIG,
        b'{"rate_limit_enabled":false}',
        401,
        "admin_token_required",
        None,
        headers,
    )
    for name, headers in {
        "no token": {},
        "a wrong token": {"authorization": "Bearer wrong"},
        "an empty token": {"authorization": "Bearer "},
        "no scheme": {"authorization": "the admin token of the tests"},
        "another scheme": {"authorization": "Basic the admin token of the tests"},
        "more than the token": {"authorization": ADMIN_HEADER + "x"},
        "a token that is not ASCII": {"authorization": "Bearer \xe9"},
    }.items()
]
