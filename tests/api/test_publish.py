"""`POST /api/events` (contract §§1, 2)."""

import time
import uuid
from typing import Any

import pytest

from tests.api.cases.events import MANY
from tests.support.client import Api, Line, event, request

PATH = "/api/events"
MIB = 1 << 20


def test_an_answer_names_the_event_its_stream_and_its_place(api: Api) -> None:
    before = api.head()
    answer = api.post(PATH, event(api.id("a"), {"x": 1}))
    assert answer.status == 200
    assert set(answer.json) == {"eventId", "stream", "seq"}
    assert answer.json["stream"] == "tests"
    assert answer.json["seq"] == before + 1
    assert uuid.UUID(answer.json["eventId"]).version == 7


def test_the_next_read_sees_it(api: Api) -> None:
    for value in range(20):
        seq = api.publish("a", x=value)
        found = api.entity("a").json
        assert found["properties"] == {"x": value}
        assert (found["seq"], found["version"]) == (seq, value + 1)


def test_properties_replace_each_other_one_by_one(api: Api) -> None:
    api.publish("a", x={"deep": 1, "kept": 2}, y=1, z=1)
    api.publish("a", x={"deep": 3}, y=None)
    assert api.entity("a").json["properties"] == {"x": {"deep": 3}, "y": None, "z": 1}


def test_unset_goes_before_properties(api: Api) -> None:
    api.publish("a", x=1, y=1)
    payload = {"entity_id": api.id("a"), "properties": {"x": 2}, "unset": ["x", "y"]}
    assert api.post(PATH, event("", payload=payload)).status == 200
    assert api.entity("a").json["properties"] == {"x": 2}


def test_an_event_without_properties_creates_its_entity(api: Api) -> None:
    api.publish("a")
    found = api.entity("a").json
    assert (found["properties"], found["version"]) == ({}, 1)


def test_a_tombstone_deletes_and_a_later_event_starts_afresh(api: Api) -> None:
    api.publish("a", x=1)
    api.publish("a", __deleted__=True, y=1)
    assert api.entity("a").status == 404
    api.publish("a", z=1)
    assert api.entity("a").json["properties"] == {"z": 1}
    assert api.entity("a").json["version"] == 1


@pytest.mark.parametrize("value", [1, "true", False, None, [True]])
def test_only_true_is_a_tombstone(api: Api, value: object) -> None:
    api.publish("a", __deleted__=value)
    assert api.entity("a").json["properties"] == {"__deleted__": value}


def test_a_tombstone_of_a_missing_entity_is_stored_and_changes_nothing(
    api: Api,
) -> None:
    seq = api.publish("never", __deleted__=True)
    assert api.head() == seq
    assert api.entity("never").status == 404


def test_the_same_event_id_counts_once(api: Api) -> None:
    first = api.post(PATH, event(api.id("a"), {"x": 1}, eventId="once"))
    before = api.head()
    again = api.post(PATH, event(api.id("b"), {"x": 2}, eventId="once", stream="other"))
    assert again.status == 200
    assert again.json == {**first.json, "duplicate": True}
    assert api.head() == before
    assert api.entity("b").status == 404


def test_an_event_id_belongs_to_its_namespace(api: Api) -> None:
    first = api.post(PATH, event(f"{api.space}-1/a", eventId="id")).json
    second = api.post(PATH, event(f"{api.space}-2/a", eventId="id")).json
    assert second["seq"] == first["seq"] + 1


@pytest.mark.parametrize("given", [None, ""])
def test_an_empty_event_id_asks_for_a_new_one(api: Api, given: object) -> None:
    answers = [api.post(PATH, event(api.id("a"), eventId=given)) for _ in range(2)]
    assert len({answer.json["eventId"] for answer in answers}) == 2


def test_a_refused_event_claims_no_id(api: Api) -> None:
    refused = event(api.id("a"), eventId="id", stream="No!")
    assert api.post(PATH, refused).status == 400
    answer = api.post(PATH, event(api.id("a"), eventId="id"))
    assert "duplicate" not in answer.json


def test_unknown_fields_are_ignored_and_those_of_the_payload_kept(api: Api) -> None:
    payload = {"entity_id": api.id("a"), "properties": {}, "more": [1]}
    api.post(PATH, event("", payload=payload, unknown=1, seq=9))
    (stored,) = api.get(f"{PATH}?entity={api.id('a')}").json
    assert stored["payload"] == payload
    assert "unknown" not in stored


def test_a_repeated_key_keeps_its_last_value(api: Api) -> None:
    body = (
        '{"stream":"no!","source":"s","payload":1,"stream":"s","payload":'
        f'{{"entity_id":"x","properties":[],"entity_id":"{api.id("a")}",'
        '"properties":{"a":1,"b":1,"a":2}}}'
    )
    assert api.post(PATH, body.encode()).status == 200
    assert api.entity("a").json["properties"] == {"a": 2, "b": 1}


def test_a_missing_timestamp_is_now(api: Api) -> None:
    earliest = time.time_ns() // 1_000_000 - 1
    api.publish("a")
    (stored,) = api.get(f"{PATH}?entity={api.id('a')}").json
    assert earliest <= stored["timestamp"] <= time.time_ns() // 1_000_000 + 1


@pytest.mark.parametrize("content_type", ["text/plain", "x", "application/xml"])
def test_the_content_type_does_not_matter(api: Api, content_type: str) -> None:
    body = event(api.id("a"))
    assert api.post(PATH, body, content_type=content_type).status == 200


@pytest.mark.parametrize("token", ["Bearer x", "Basic eDp5", "nonsense", "Bearer"])
def test_open_mode_ignores_whatever_authorization_says(api: Api, token: str) -> None:
    assert api.post(PATH, event(api.id("a")), authorization=token).status == 200


def _padded(entity_id: str, size: int) -> bytes:
    frame = b'{"stream":"s","source":"s","payload":{"entity_id":"%b","properties":{}}}'
    body = frame % entity_id.encode()
    return body + b" " * (size - len(body))


def test_a_body_of_exactly_the_limit_is_taken_and_a_byte_more_is_not(api: Api) -> None:
    assert api.post(PATH, _padded(api.id("a"), MIB)).status == 200
    refused = api.post(PATH, _padded(api.id("b"), MIB + 1))
    assert (refused.status, refused.code) == (413, "payload_too_large")
    assert api.entity("b").status == 404
    api.close()
    line = Line(api.port)
    body = _padded(api.id("b"), MIB + 1)
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:9], body[9:])
    )
    line.send(request("POST", PATH, chunks + b"0\r\n\r\n", transfer_encoding="chunked"))
    assert line.answer().status == 413
    line.close()
    assert api.entity("b").status == 404


# What lies on the edge of a rule, inside it.
ACCEPTED: dict[str, dict[str, Any]] = {
    "an id of 512 characters": {"entity_id": "{}" + "x" * 500},
    "an id of emoji": {"entity_id": "{}😀/🇨🇭"},
    "an id with many slashes": {"entity_id": "{}a//b/c/"},
    "an id of dots inside": {"entity_id": "{}../."},
    "an id with a blank and a quote": {"entity_id": "{}a \" ' % ? # b"},
    "an id with a line separator": {"entity_id": "{}a\u2028b"},
    "a stream of 200 characters": {"stream": "x" * 200},
    "a stream of all kinds": {"stream": "a1.b_2-c.9"},
    "a source of 512 characters": {"source": "ä" * 512},
    "a source of a blank": {"source": " "},
    "timestamp 1": {"timestamp": 1},
    "the last timestamp": {"timestamp": 8_640_000_000_000_000},
    "an eventId of 200 characters": {"eventId": "😀" * 200},
    "no key and no schema": {"key": None, "schema": None},
    "an empty key": {"key": "", "schema": ""},
    "5,000 properties": {"properties": dict.fromkeys(list(MANY)[1:], 0)},
    "an empty property name": {"properties": {"": 1}},
    "unset of nothing": {"unset": []},
    "unset of the same twice": {"unset": ["a", "a", ""]},
}


@pytest.mark.parametrize("fields", ACCEPTED.values(), ids=ACCEPTED)
def test_what_lies_just_inside_a_rule_is_stored(
    api: Api, fields: dict[str, Any]
) -> None:
    fields = dict(fields)
    pattern = fields.pop("entity_id", "{}a")
    payload: dict[str, object] = {
        "entity_id": pattern.replace("{}", api.space + "/")[:512],
        "properties": fields.pop("properties", {}),
    }
    if "unset" in fields:
        payload["unset"] = fields.pop("unset")
    sent = event("", payload=payload, **fields)
    assert api.post(PATH, sent).status == 200
    (stored,) = api.get(f"{PATH}?namespace={api.space}").json
    assert stored["payload"] == payload
    for name, value in fields.items():
        assert stored.get(name) == value


EXACT = {
    "beyond 64 bits": "18446744073709551616",
    "30 digits": "123456789012345678901234567890",
    "400 digits": "0." + "1" * 399,
    "its scale": "1.10",
    "a long fraction": "0.1000000000000000055511151231257827",
    "close to the largest": "1.7976931348623157e308",
    "close to the smallest": "1e-308",
    "minus zero": "-0.0",
    "64 levels": "[" * 61 + "]" * 61,
    "an escaped pair": '"\\ud83d\\ude00"',
    "the last character": '"\\uDBFF\\uDFFF"',
    "an escaped backslash before u0000": '"\\\\u0000"',
    "every escape": '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u001f"',
}


@pytest.mark.parametrize("text", EXACT.values(), ids=EXACT)
def test_the_log_keeps_the_very_text(api: Api, text: str) -> None:
    payload = f'{{"entity_id": "{api.id("a")}", "properties":{{"v":{text}}} }}'
    body = f'{{"stream":"s","source":"s","payload":{payload}}}'
    assert api.post(PATH, body.encode()).status == 200
    answer = api.get(f"{PATH}?entity={api.id('a')}")
    assert payload.encode() in answer.body


@pytest.mark.parametrize("text", ["18446744073709551616", "1.10", "-1.5", "1e-7"])
def test_the_state_keeps_values_and_scale(api: Api, text: str) -> None:
    payload = f'{{"entity_id": "{api.id("a")}", "properties":{{"v":{text}}} }}'
    api.post(PATH, f'{{"stream":"s","source":"s","payload":{payload}}}'.encode())
    written = {"1e-7": "0.0000001"}.get(text, text)
    assert f'"v": {written}}}'.encode() in api.entity("a").body
