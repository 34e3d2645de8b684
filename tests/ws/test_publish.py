"""Publishing on a socket (contract §5)."""

import json
from typing import Any

import pytest

from tests.support import exactly
from tests.support.client import Api, event
from tests.support.live import Socket, fence, heard
from tests.support.view import Frame
from tests.ws.conftest import Listen

KEYS = {"eventId", "stream", "seq", "error"}
IN_FLIGHT = 300


def publish(socket: Socket, text: str) -> Frame:
    socket.send(text)
    return socket.next("published")


def good(api: Api, name: str = "a") -> str:
    return json.dumps(event(api.id(name), {"x": name}))


def test_an_event_is_acknowledged_once_it_is_stored(api: Api, listen: Listen) -> None:
    socket = listen()
    before = api.head()
    message = {"type": "publish", "ref": "r1", "event": event(api.id("a"), {"x": 1})}
    socket.send(message)
    answer = socket.next("published")
    assert answer.keys() == {"type", "ref", "results"}
    assert answer["ref"] == "r1"
    (result,) = answer["results"]
    assert result.keys() == KEYS
    assert (result["seq"], result["error"]) == (before + 1, None)
    assert result["stream"] == "tests"
    assert api.entity("a").json["properties"] == {"x": 1}
    stored = api.get(f"/api/events?entity={api.id('a')}").json[0]
    assert stored["eventId"] == result["eventId"]
    socket.wait_for_seq(result["seq"])
    assert heard(socket) == [(api.id("a"), "x", 1)], "it hears its own events"


def test_several_events_are_stored_together(api: Api, listen: Listen) -> None:
    socket = listen()
    before = api.head()
    events = [event(api.id(f"e{number}"), {"n": number}) for number in range(1_000)]
    results = socket.publish(*events, ref=7)["results"]
    seqs = [result["seq"] for result in results]
    assert seqs == list(range(before + 1, before + 1_001))
    assert all(result["error"] is None for result in results)
    fence(api, socket)
    assert [value for _, _, value in heard(socket)] == list(range(1_000))


BAD = {
    "a lone surrogate": ('{"a":"\\ud800"}', "lone_surrogate"),
    "a lone surrogate in a key": ('{"\\ud800":1}', "lone_surrogate"),
    "1e999": ('{"a":1e999}', "number_out_of_range"),
    "a NUL": ('{"a":"\\u0000"}', "nul_character"),
    "65 levels": ('{"a":' + "[" * 62 + "]" * 62 + "}", "nesting_too_deep"),
    "a text": ('"no"', None),
    "too many properties": (
        json.dumps({f"p{number}": 1 for number in range(5_001)}),
        "event_too_large",
    ),
}


@pytest.mark.parametrize(("properties", "code"), BAD.values(), ids=BAD)
def test_a_bad_event_fails_alone(
    api: Api, listen: Listen, properties: str, code: str | None
) -> None:
    socket = listen()
    bad = (
        f'{{"stream":"s","source":"s","payload":{{"entity_id":"{api.id("bad")}",'
        f'"properties":{properties}}}}}'
    )
    events = ",".join([good(api, "a"), bad, good(api, "b")])
    answer = publish(socket, f'{{"type":"publish","ref":1,"events":[{events}]}}')
    first, failed, last = answer["results"]
    assert (first["error"], last["error"]) == (None, None)
    assert last["seq"] == first["seq"] + 1
    assert {failed["eventId"], failed["stream"], failed["seq"]} == {None}
    assert failed["error"]
    assert code in {failed["code"], None}
    (alone,) = publish(socket, f'{{"type":"publish","event":{bad}}}')["results"]
    assert alone == failed
    fence(api, socket)
    assert [value for _, _, value in heard(socket)] == ["a", "b"]


def test_the_items_are_those_of_a_batch(api: Api, listen: Listen) -> None:
    """Whatever is wrong: a batch over HTTP says the same."""
    socket = listen()
    wrong: list[Any] = [
        1,
        None,
        {},
        event("flux-core/x"),
        event("/x"),
        event(api.id("a"), stream="No!"),
        event(api.id("a"), eventId=5),
    ]
    results = socket.publish(*wrong)["results"]
    over_http = api.post("/api/events/batch", wrong).json["results"]
    assert results == over_http


def test_a_batch_of_more_items_than_events_could_be_is_refused(
    api: Api, listen: Listen
) -> None:
    socket = listen()
    answer = api.post("/api/events/batch", b"[1%b]" % (b",1" * 200_000))
    assert (answer.status, answer.code) == (413, "payload_too_large")
    socket.send('{"type":"publish","ref":"r","events":[1' + ",1" * 200_000 + "]}")
    error = socket.next("error")
    assert (error["code"], error["ref"]) == (answer.code, "r")
    assert error["error"] == answer.json["error"]
    assert not socket.of("published")
    assert publish(socket, f'{{"type":"publish","event":{good(api)}}}')["results"]


@pytest.mark.parametrize("items", [150, 500, 5_000])
def test_bad_items_among_good_ones_fail_alone_however_many(
    api: Api, listen: Listen, items: int
) -> None:
    socket = listen()
    events = ["1"] * items
    events[items // 2] = good(api)
    text = f'{{"type":"publish","events":[{",".join(events)}]}}'
    for ref in range(3):  # in their order, whether or not they are read on a thread
        socket.send(text[:-1] + f',"ref":{ref}}}')
        socket.send(f'{{"type":"publish","event":{good(api)},"ref":"behind {ref}"}}')
    socket.wait(lambda: len(socket.of("published")) == 6, what="answers")
    refs = [answer["ref"] for answer in socket.of("published")]
    assert refs == [0, "behind 0", 1, "behind 1", 2, "behind 2"]
    for answer in socket.of("published")[::2]:
        results = answer["results"]
        assert len(results) == items
        assert [one["error"] for one in results].count(None) == 1
        assert results[items // 2]["seq"]
    places = [
        result["seq"]
        for answer in socket.of("published")
        for result in answer["results"]
        if result["error"] is None
    ]
    assert places == sorted(places)


def test_many_may_be_in_flight(api: Api, listen: Listen) -> None:
    socket = listen()
    before = api.head()
    for number in range(IN_FLIGHT):
        one = event(api.id("a"), {"n": number})
        socket.send({"type": "publish", "ref": number, "event": one})
    socket.wait(lambda: len(socket.of("published")) == IN_FLIGHT, what="answers")
    places = {one["ref"]: one["results"][0]["seq"] for one in socket.of("published")}
    # One connection's events are stored in the order in which it sent them.
    assert places == {number: before + 1 + number for number in range(IN_FLIGHT)}
    fence(api, socket)
    assert [value for _, _, value in heard(socket)] == list(range(IN_FLIGHT))


REFS = [
    "null",
    "true",
    "0",
    "1.10",
    "123456789012345678901234567890",
    '""',
    '"ü 🦀 \\" \\u2028"',
    "[]",
    '[1,[2,{"a":null}]]',
    '{"z":1,"a":{"ref":2}}',
]


@pytest.mark.parametrize("ref", REFS)
def test_a_ref_comes_back_as_it_was(api: Api, listen: Listen, ref: str) -> None:
    socket = listen()
    text = f'{{"type":"publish","ref":{ref},"event":{good(api)}}}'
    assert publish(socket, text)["ref"] == exactly.loads(ref)
    socket.send(f'{{"type":"publish","ref":{ref},"events":1}}')
    assert socket.next("error")["ref"] == exactly.loads(ref)


def test_a_ref_is_not_needed(api: Api, listen: Listen) -> None:
    socket = listen()
    answer = publish(socket, f'{{"type":"publish","event":{good(api)}}}')
    assert answer.get("ref") is None
    assert answer["results"][0]["error"] is None


def test_an_event_id_is_stored_once(api: Api, listen: Listen) -> None:
    socket = listen()
    one = event(api.id("a"), {"x": 1}, eventId=f"{api.space} one")
    (first,) = socket.publish(one)["results"]
    again = socket.publish(one, one)["results"]
    assert again == [first | {"duplicate": True}] * 2
    assert api.post("/api/events", one).json["seq"] == first["seq"]
    fence(api, socket)
    assert heard(socket) == [(api.id("a"), "x", 1)]


WRONG = [
    '{"type":"publish","ref":1}',
    '{"type":"publish","ref":1,"events":{}}',
    '{"type":"publish","ref":1,"events":null}',
    '{"type":"publish","ref":1,"events":[]}',
]


@pytest.mark.parametrize("text", WRONG)
def test_a_publish_without_events_is_an_error(listen: Listen, text: str) -> None:
    socket = listen()
    socket.send(text)
    error = socket.next("error")
    assert error["ref"] == 1
    assert error["code"]
    assert not socket.of("published")


def test_publishing_is_no_subscription(api: Api, listen: Listen) -> None:
    socket = listen()
    socket.publish(event(api.id("a"), {"x": 1}))
    api.publish("b", x=2)
    fence(api, socket)
    assert heard(socket) == [(api.id("a"), "x", 1), (api.id("b"), "x", 2)]


def test_who_publishes_and_leaves_has_published(api: Api, listen: Listen) -> None:
    before = api.head()
    socket = listen(f"?entity_id={api.id('never')}")
    for number in range(50):
        one = event(api.id("a"), {"n": number})
        socket.send({"type": "publish", "event": one})
    socket.close()
    watching = listen(f"?entity_id={api.id('a')}&since={before}")
    watching.wait_for_seq(before + 50)
    assert [value for _, _, value in heard(watching)] == list(range(50))


def test_other_connections_hear_of_it(api: Api, listen: Listen) -> None:
    publishing, watching = listen(), listen(f"?prefix={api.id('')}")
    seqs = [
        publishing.publish(event(api.id("a"), {"n": number}))["results"][0]["seq"]
        for number in range(20)
    ]
    watching.wait_for_seq(seqs[-1])
    assert watching.account.arrived == seqs
