"""JSON → Event, or the error that says what is wrong with it: each clause of §1."""

import json
import time
from typing import Any
from uuid import UUID

import pytest

from events import envelope, exact
from events.envelope import EventTooLarge
from events.explain import InvalidEvent
from flux_project.errors import FluxError


def said(**changes: Any) -> dict[str, Any]:
    """A valid event; `payload_…` changes a member of its payload, `...` removes one."""
    payload: dict[str, Any] = {"entity_id": "a/b", "properties": {"x": 1}}
    event: dict[str, Any] = {"stream": "s", "source": "me", "payload": payload}
    for name, value in changes.items():
        inside = name.startswith("payload_")
        where = payload if inside else event
        name = name.removeprefix("payload_")
        if value is ...:
            del where[name]
        else:
            where[name] = value
    return event


def parse(**changes: Any) -> envelope.Event:
    return envelope.parse(json.dumps(said(**changes)).encode())


def refusal(body: bytes) -> FluxError:
    with pytest.raises(FluxError) as caught:
        envelope.parse(body)
    return caught.value


def test_the_smallest_event() -> None:
    before = time.time_ns() // 1_000_000
    event = parse()
    assert (event.stream, event.source, event.entity_id) == ("s", "me", "a/b")
    assert (event.key, event.schema, event.unset) == (None, None, ())
    assert event.namespace == "a"
    assert UUID(event.event_id).version == 7
    assert event.digest is None
    assert before <= event.occurred_at <= time.time_ns() // 1_000_000
    assert json.loads(event.payload) == said()["payload"]
    assert not event.is_tombstone


def test_everything_an_event_may_say() -> None:
    event = parse(
        timestamp=1, eventId="mine", key="k", schema="", payload_unset=["a", "b", "a"]
    )
    assert (event.occurred_at, event.event_id) == (1, "mine")
    assert (event.key, event.schema) == ("k", "")
    assert event.unset == ("a", "b")


def test_an_id_is_unique_per_namespace_whatever_else_is_said() -> None:
    first = parse(eventId="mine")
    assert parse(eventId="mine", stream="t", payload_entity_id="a/c").digest == (
        first.digest
    )
    assert parse(eventId="mine", payload_entity_id="b/b").digest != first.digest
    assert parse(eventId="other").digest != first.digest


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_empty_event_id_is_none(nothing: str | None) -> None:
    event = parse(eventId=nothing)
    assert event.digest is None
    assert UUID(event.event_id).version == 7


def test_the_payload_keeps_its_very_text() -> None:
    payload = b'{ "z":1.10, "entity_id":"a\\u002fb" ,"properties":{"n":1e2, "n":1E+2}}'
    event = envelope.parse(b'{"stream":"s","source":"me","payload": %b }' % payload)
    assert event.payload == payload
    assert event.properties == b'{"n":1e2, "n":1E+2}'
    assert event.entity_id == "a/b"


def test_unknown_fields_are_ignored_and_the_last_of_two_counts() -> None:
    body = json.dumps(said(token="t")).encode()[:-1] + b',"stream":"last"}'
    assert envelope.parse(body).stream == "last"


@pytest.mark.parametrize(
    "stream", ["a", "0", "a.b-c_d", "sensors.temperature.v2", "x" * 200]
)
def test_streams(stream: str) -> None:
    assert parse(stream=stream).stream == stream


WRONG: dict[str, list[object]] = {
    "stream": [
        *["", "A", "a..b", ".a", "a.", "a b", "ä", "a\n", "a._b", "x" * 201],
        *[None, 1, {}, ...],
    ],
    "source": ["", "x" * 513, None, 1, [], ...],
    "payload": [None, [], "x", 1, ...],
    "timestamp": [0, -1, 8_640_000_000_000_001, 1.5, "1", None, True, 10**30],
    "eventId": ["x" * 201, 1, [], {}],
    "key": [1, [], False],
    "schema": [1, {}, True],
    "payload.entity_id": [
        *["", "/x", "x" * 513, ".", "..", "a\n", "a\x7f", 1, None, [], ...]
    ],
    "payload.properties": [[], None, "x", 1, ...],
    "payload.unset": ["x", {}, [1], [None], None, 1],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field in WRONG for value in WRONG[field]]
)
def test_a_wrong_field_is_named(field: str, value: object) -> None:
    error = refusal(json.dumps(said(**{field.replace(".", "_"): value})).encode())
    assert error.status == 400
    assert error.field == field
    assert field in error.message


@pytest.mark.parametrize("timestamp", [1, 8_640_000_000_000_000])
def test_the_first_and_the_last_timestamp(timestamp: int) -> None:
    assert parse(timestamp=timestamp).occurred_at == timestamp


@pytest.mark.parametrize(
    ("field", "most"), [("source", 512), ("eventId", 200), ("payload_entity_id", 512)]
)
def test_lengths_are_counted_in_characters(field: str, most: int) -> None:
    parse(**{field: "😀" * most})
    with pytest.raises(FluxError):
        parse(**{field: "😀" * (most + 1)})


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"1", b"null", b"true"])
def test_an_event_is_an_object(body: bytes) -> None:
    assert refusal(body).code == "invalid_event"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"nonsense",
        b'{"stream":}',
        b"{}{}",
        b"\xef\xbb\xbf{}",
        b"[" * 9,
    ],
)
def test_what_is_not_json_says_so(body: bytes) -> None:
    assert refusal(body).code == "invalid_json"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b'"\\u0000"', "nul_character"),
        (b'"\\ud800"', "lone_surrogate"),
        (b"1e999", "number_out_of_range"),
        (b"1e-309", "number_out_of_range"),
        (b"1" * 401, "number_out_of_range"),
        (b"NaN", "invalid_json"),
        (b"Infinity", "invalid_json"),
        (b"01", "invalid_json"),
        (b"'x'", "invalid_json"),
        (b'"\n"', "invalid_json"),
        (b'"\xff"', "invalid_json"),
        (b"[" * 62 + b"]" * 62, "nesting_too_deep"),
        (b"[" * 3_000 + b"]" * 3_000, "nesting_too_deep"),
    ],
)
def test_what_cannot_be_stored_is_refused_wherever_it_stands(
    value: bytes, code: str
) -> None:
    inside = b'{"entity_id":"a","properties":{"x":%b}}' % value
    beside = b'{"entity_id":"a","properties":{},"other":[%b]}' % value
    for payload in (inside, beside):
        body = b'{"stream":"s","source":"me","payload":%b}' % payload
        assert refusal(body).code == code
    unknown = b'{"stream":"s","source":"me","payload":{"entity_id":"a",'
    unknown += b'"properties":{}},"x":[[[%b]]]}' % value
    assert refusal(unknown).code == code


def test_levels_are_counted_from_the_event() -> None:
    deep = b"[" * 61 + b"]" * 61
    body = (
        b'{"stream":"s","source":"m","payload":{"entity_id":"a","properties":{"x":%b}}}'
    )
    envelope.parse(body % deep)
    assert refusal(body % (b"[" + deep + b"]")).code == "nesting_too_deep"


@pytest.mark.parametrize("field", ["source", "key", "eventId", "payload_entity_id"])
def test_nul_and_surrogates_are_refused_in_every_string(field: str) -> None:
    with pytest.raises(exact.NulCharacter):
        parse(**{field: "a\0"})
    with pytest.raises(exact.LoneSurrogate):
        parse(**{field: "a\ud800"})
    with pytest.raises(exact.NulCharacter):
        parse(payload_unset=["a\0"])


@pytest.mark.parametrize(
    ("properties", "is_tombstone"),
    [
        (b'{"__deleted__":true}', True),
        (b'{"x":1, "__deleted__" : true }', True),
        (b'{"\\u005f_deleted__":true}', True),
        (b'{"__deleted__":false,"__deleted__":true}', True),
        (b'{"__deleted__":true,"__deleted__":0}', False),
        (b'{"__deleted__":false}', False),
        (b'{"__deleted__":"true"}', False),
        (b'{"__deleted__":1}', False),
        (b'{"x":{"__deleted__":true}}', False),
        (b'{"x":"__deleted__"}', False),
        (b"{}", False),
    ],
)
def test_only_a_deleted_that_is_true_is_a_tombstone(
    properties: bytes,
    is_tombstone: bool,  # noqa: FBT001
) -> None:
    text = b'{"stream":"s","source":"m","payload":{"entity_id":"a","properties":%b}}'
    assert envelope.parse(text % properties).is_tombstone is is_tombstone


def test_5000_properties_set_and_unset_pass_and_one_more_does_not() -> None:
    few = {f"p{number}": {"deep": ":,"} for number in range(4_990)}
    unset = [f"u{number}" for number in range(10)]
    parse(payload_properties=few, payload_unset=unset)
    with pytest.raises(EventTooLarge):
        parse(payload_properties=few | {"one": 1}, payload_unset=unset)
    with pytest.raises(EventTooLarge):
        parse(payload_properties={}, payload_unset=[str(n) for n in range(5_001)])


def batch(*texts: bytes) -> bytes:
    return b'{"events": [%b]}' % b", ".join(texts)


def codes(body: bytes) -> list[str]:
    """What becomes of a batch: the code of each refusal, the source of each event."""
    return [
        item.code if isinstance(item, FluxError) else item.source
        for item in envelope.parse_batch(body, most=1_000)
    ]


def one(source: str) -> bytes:
    return json.dumps(said(source=source)).encode()


BAD = {
    "a lone surrogate": (b'{"stream":"\\ud800"}', "lone_surrogate"),
    "3,000 levels": (b"[" * 3_000 + b"]" * 3_000, "nesting_too_deep"),
    "100,000 levels": (b"[" * 100_000 + b"]" * 100_000, "nesting_too_deep"),
    "levels of objects": (b'{"x":' * 3_000 + b"1" + b"}" * 3_000, "nesting_too_deep"),
    "no object": (b"17", "invalid_event"),
    "a list": (b'[{"events":[1]}]', "invalid_event"),
    "an empty object": (b"{}", "invalid_event"),
    "a number": (one("n").replace(b"1}", b"1e999}"), "number_out_of_range"),
    "a text": (b'"events"', "invalid_event"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize(
    "form", [b'{"events":[%b]}', b" \n[%b]", b'{"a":[1],"events":[%b],"z":{}}']
)
def test_a_bad_event_fails_alone(kind: str, form: bytes) -> None:
    bad, code = BAD[kind]
    body = form % b" ,\n".join([one("first"), bad, one("last, with a ] and \\ in it")])
    assert codes(body) == ["first", code, "last, with a ] and \\ in it"]


def test_all_may_be_bad() -> None:
    assert codes(batch(b"1", b'"\\ud800"')) == ["invalid_event", "lone_surrogate"]


def test_the_last_of_two_lists_counts() -> None:
    body = b'{"events":[%b],"events":[%b,"\\udc00"]}' % (one("first"), one("last"))
    assert codes(body) == ["last", "lone_surrogate"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"events":[]}',
        b"[]",
        b"{}",
        b'{"events":{}}',
        b'{"events":null}',
        b'{"event":[{}]}',
        b'{"events":"x","y":"\\ud800"}',
        b'{"x":[["\\ud800"]]}',
        b'{"events":[1],"events":"\\ud800"}',
        b'"events"',
        b"1",
        b"null",
    ],
)
def test_a_batch_without_events_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidEvent) as caught:
        envelope.parse_batch(body, most=1_000)
    assert caught.value.field == "events"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"events":[',
        b'{"events":[{}]',
        b'{"events":[{},]}',
        b'[{} "\\ud800"]',
        b'["\\ud800",NaN]',
        b'["\xff"]',
        b"[" * (10 << 20),
    ],
)
def test_a_body_that_is_not_json_fails_as_a_whole(body: bytes) -> None:
    with pytest.raises(exact.InvalidJson):
        envelope.parse_batch(body, most=1_000)


def test_the_tombstone_of_a_delete_is_an_event_like_any_other() -> None:
    event = envelope.tombstone('a/"b" ü')
    body = b'{"stream":"%b","source":"%b","payload":%b}' % (
        event.stream.encode(),
        event.source.encode(),
        event.payload,
    )
    parsed = envelope.parse(body)
    assert (event.stream, event.source) == ("flux.deletions", "api")
    assert (parsed.entity_id, parsed.namespace) == (event.entity_id, event.namespace)
    assert parsed.is_tombstone
    assert event.is_tombstone
