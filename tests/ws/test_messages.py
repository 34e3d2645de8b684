"""What a client may say wrong on a socket, and what that does (contract §5)."""

import json
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed

from tests.support import exactly
from tests.support.client import Api, event
from tests.support.live import fence, heard
from tests.ws.conftest import Listen

MOST_SUBSCRIPTIONS = 1_000

BAD: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", "invalid_json"),
    "no JSON": ("subscribe", "invalid_json"),
    "half of it": ('{"type":"subscribe"', "invalid_json"),
    "two of it": ('{"type":"x"}{"type":"x"}', "invalid_json"),
    "bytes that are no UTF-8": (b'{"type":"\xff"}', "invalid_json"),
    "a compressed frame": (b"\x1f\x8b\x08\x00", "invalid_json"),
    "100,000 brackets": ("[" * 100_000, "invalid_json"),
    "a number": ("1", "invalid_message"),
    "null": ("null", "invalid_message"),
    "a list": ('[{"type":"subscribe","entity_id":"a"}]', "invalid_message"),
    "an empty object": ("{}", "invalid_message"),
    "a type that is no text": ('{"type":1}', "invalid_message"),
    "an unknown type": ('{"type":"nonsense"}', "invalid_message"),
    "another case": ('{"type":"Subscribe","entity_id":"a"}', "invalid_message"),
    "a frame of the server's": ('{"type":"entity_touched"}', "invalid_message"),
    "an empty id": ('{"type":"subscribe","entity_id":""}', "invalid_entity_id"),
    "an empty namespace": (
        '{"type":"subscribe","entity_id":"/a"}',
        "invalid_entity_id",
    ),
    "a dot": ('{"type":"subscribe","entity_id":"."}', "invalid_entity_id"),
    "a NUL": ('{"type":"subscribe","entity_id":"a\\u0000"}', "invalid_entity_id"),
    "a long id": (
        json.dumps({"type": "subscribe", "entity_id": "x" * 513}),
        "invalid_entity_id",
    ),
    "two interests": (
        '{"type":"subscribe","entity_id":"a","prefix":"b"}',
        "invalid_subscription",
    ),
    "since and snapshot": (
        '{"type":"subscribe","entity_id":"a","since":0,"snapshot":true}',
        "invalid_subscription",
    ),
    "since ahead": (
        '{"type":"subscribe","entity_id":"a","since":9000000000000000}',
        "since_ahead",
    ),
    "unsubscribe from nothing": (
        '{"type":"unsubscribe","entity_id":"never/there"}',
        "not_subscribed",
    ),
}

WRONG: list[dict[str, object]] = [
    {"type": "subscribe"},
    {"type": "subscribe", "entity_id": None},
    {"type": "subscribe", "entity_id": 1},
    {"type": "subscribe", "entity_id": ["a"]},
    {"type": "subscribe", "prefix": 1},
    {"type": "subscribe", "namespace": {}},
    {"type": "subscribe", "namespace": ""},
    {"type": "subscribe", "entity_id": "a", "since": -1},
    {"type": "subscribe", "entity_id": "a", "since": 1.5},
    {"type": "subscribe", "entity_id": "a", "since": "1"},
    {"type": "subscribe", "entity_id": "a", "since": True},
    {"type": "subscribe", "entity_id": "a", "since": 10**30},
    {"type": "subscribe", "entity_id": "a", "snapshot": "yes"},
    {"type": "unsubscribe"},
    {"type": "publish"},
    {"type": "publish", "events": {}},
    {"type": "publish", "events": []},
]


@pytest.mark.parametrize(("text", "code"), BAD.values(), ids=BAD)
def test_bad_input_is_an_error_and_the_connection_stays(
    api: Api, listen: Listen, text: str | bytes, code: str
) -> None:
    socket = listen(f"?entity_id={api.id('a')}")
    socket.send(text)
    error = socket.next("error")
    assert error["code"] == code
    interest = {"entity_id", "prefix", "namespace"}
    assert error.keys() <= {"type", "error", "code", "field"} | interest
    assert error["error"].strip()
    api.publish("a", x=1)
    api.publish("b", x=2)
    fence(api, socket)
    assert heard(socket) == [(api.id("a"), "x", 1)], "nothing has changed"


def test_wrong_and_missing_fields_are_named(api: Api, listen: Listen) -> None:
    socket = listen(f"?entity_id={api.id('a')}")
    for message in WRONG:
        socket.send(message)
        error = socket.next("error")
        assert error["code"].startswith("invalid_") or error["code"] == "since_ahead"
        assert error["error"].strip(), message
    assert len(socket.of("error")) == len(WRONG)
    api.publish("a", x=1)
    fence(api, socket)
    assert heard(socket) == [(api.id("a"), "x", 1)]


def test_unknown_fields_are_ignored(api: Api, listen: Listen) -> None:
    socket = listen()
    socket.send(
        {"type": "subscribe", "entity_id": api.id("a"), "colour": 1, "prefix": None}
    )
    assert socket.next("subscribed")["entity_id"] == api.id("a")


ODD_VALUES = {
    "a number beyond all": "1e999",
    "half a pair": '"\\ud800"',
    "3,000 levels": "[" * 3_000 + "]" * 3_000,
    "a NUL": '"\\u0000"',
    "an event": '{"x":1e999}',
}


@pytest.mark.parametrize("value", ODD_VALUES.values(), ids=ODD_VALUES)
@pytest.mark.parametrize("name", ["extra", "event", "events", "ref"])
def test_what_an_unknown_field_says_does_not_matter(
    api: Api, listen: Listen, name: str, value: str
) -> None:
    socket = listen()
    wanted = f'"entity_id":"{api.id("a")}","{name}":{value}'
    socket.send(f'{{"type":"subscribe",{wanted}}}')
    assert socket.next("subscribed")["entity_id"] == api.id("a")
    more = '"since":1e999,"snapshot":"so"'  # no fields of this message
    socket.send(f'{{"type":"unsubscribe",{wanted},{more}}}')
    assert socket.next("unsubscribed")["entity_id"] == api.id("a")


ABOUT: list[tuple[str, str]] = [
    ('"type":"unsubscribe","entity_id":"x"', "not_subscribed"),
    ('"type":"unsubscribe","prefix":"x/"', "not_subscribed"),
    ('"type":"unsubscribe","namespace":"x"', "not_subscribed"),
    ('"type":"subscribe","entity_id":"x","since":-1', "invalid_subscription"),
    ('"type":"subscribe","prefix":"x/","since":1e999', "invalid_message"),
    ('"type":"subscribe","namespace":"x","snapshot":1', "invalid_subscription"),
    (
        '"type":"subscribe","entity_id":"x","since":1,"snapshot":true',
        "invalid_subscription",
    ),
    (
        f'"type":"subscribe","entity_id":"x","filler":"{"x" * 70_000}"',
        "payload_too_large",
    ),
]


@pytest.mark.parametrize(("members", "code"), ABOUT, ids=[m[:60] for m, _ in ABOUT])
def test_an_error_says_which_message_it_is_about(
    listen: Listen, members: str, code: str
) -> None:
    socket = listen()
    message = exactly.loads(f"{{{members}}}".replace("1e999", "null"))
    interest = {
        name: message[name]
        for name in ("entity_id", "prefix", "namespace")
        if name in message
    }
    for ref in ("7", '{"my":["ü",1.10]}', None):
        socket.send(f"{{{members}}}" if ref is None else f'{{{members},"ref":{ref}}}')
        error = socket.next("error")
        told = {} if ref is None else {"ref": exactly.loads(ref)}
        expected = interest | told | {"type": "error", "code": code}
        assert {key: error.get(key) for key in expected} == expected
        assert error.keys() <= expected.keys() | {"error", "field"}


def test_what_was_not_understood_is_named_by_its_ref_alone(listen: Listen) -> None:
    socket = listen()
    for members in (
        '"type":"subscribe","entity_id":"/x"',
        '"type":"subscribe","entity_id":"x","prefix":"x"',
        '"type":"subscribe"',
        '"type":"unsubscribe","namespace":""',
        '"type":"nonsense","entity_id":"x"',
        '"entity_id":"x"',
    ):
        socket.send(f'{{"ref":[1],{members}}}')
        error = socket.next("error")
        assert error["ref"] == [1]
        assert error.keys() <= {"type", "error", "code", "field", "ref"}


def test_since_ahead_is_told_of_the_interest_alone(api: Api, listen: Listen) -> None:
    socket = listen()
    message = {"type": "subscribe", "prefix": api.id("a"), "since": 9 * 10**15}
    socket.send(message | {"ref": 1})
    error = socket.next("error")
    assert (error["code"], error["prefix"]) == ("since_ahead", api.id("a"))


def test_a_text_that_is_not_utf8_is_an_error_that_says_so(
    api: Api, listen: Listen
) -> None:
    socket = listen(f"?entity_id={api.id('a')}")
    for message in (b'{"type":"\xff"}', b'{"type":"subscribe","entity_id":"\xc3"}'):
        socket.connection.send(message, text=True)
        error = socket.next("error")
        assert error["code"] == "invalid_json"
        place = message.index(max(message))
        wrong = f"is not valid UTF-8: wrong byte at position {place}."
        assert error["error"].endswith(wrong)
    api.publish("a", x=1)
    fence(api, socket)
    assert heard(socket) == [(api.id("a"), "x", 1)]


def test_a_binary_frame_that_holds_json_is_taken_like_a_text(
    api: Api, listen: Listen
) -> None:
    socket = listen()
    message = {"type": "subscribe", "entity_id": api.id("ü")}
    socket.send(json.dumps(message, ensure_ascii=False).encode())
    assert socket.next("subscribed")["entity_id"] == api.id("ü")
    publish = {"type": "publish", "ref": 1, "event": event(api.id("ü"), {"x": 1})}
    socket.send(json.dumps(publish).encode())
    assert socket.next("published")["results"][0]["error"] is None


def test_a_message_in_fragments_is_one_message(api: Api, listen: Listen) -> None:
    socket = listen()
    text = json.dumps({"type": "subscribe", "entity_id": api.id("a")})
    socket.connection.send([text[:5], text[5:20], text[20:]])
    assert socket.next("subscribed")["entity_id"] == api.id("a")


def test_a_ping_is_answered(listen: Listen) -> None:
    assert listen().connection.ping(b"here?").wait(30)


def test_a_connection_has_so_many_subscriptions_and_no_more(
    api: Api, listen: Listen
) -> None:
    socket = listen()
    for number in range(MOST_SUBSCRIPTIONS):
        socket.ask(entity_id=api.id(f"n{number}"))
    socket.wait(lambda: len(socket.of("subscribed")) == MOST_SUBSCRIPTIONS, what="acks")
    for wanted in ({"prefix": api.id("x")}, {"entity_id": "*"}):
        socket.send({"type": "subscribe", **wanted})
        error = socket.next("error")
        assert error["code"] == "too_many_subscriptions"
        assert error.items() >= wanted.items()
    # One that it has already is none more.
    assert socket.subscribe(entity_id=api.id("n7"))["entity_id"] == api.id("n7")
    socket.unsubscribe(entity_id=api.id("n0"))
    socket.subscribe(prefix=api.id("x"))
    for name in ("n0", "n999", "x1", "y"):
        api.publish(name, of=name)
    fence(api, socket)
    assert [value for _, _, value in heard(socket)] == ["n999", "x1"]


def test_a_frame_that_is_too_large_ends_its_connection_alone(
    api: Api, listen: Listen
) -> None:
    socket, other = listen(), listen()
    with suppress(ConnectionClosed):  # it may end before all is sent
        socket.send("x" * (17 << 20))
    assert socket.wait_for_end().code == 1009
    api.publish("a", x=1)
    fence(api, other)
    assert heard(other) == [(api.id("a"), "x", 1)]
