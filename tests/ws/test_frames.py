"""The frames of an event (contract §5), over a WebSocket and as a stream."""

from datetime import datetime

import pytest

from tests.support import exactly
from tests.support.client import Api, event
from tests.support.listener import Listener
from tests.support.live import fence, heard
from tests.ws.conftest import Follow, Listen


@pytest.fixture(params=["socket", "stream"])
def listener(
    request: pytest.FixtureRequest, api: Api, listen: Listen, follow: Follow
) -> Listener:
    """Somebody who listens to the namespace of the client."""
    opening = listen if request.param == "socket" else follow
    found: Listener = opening(f"?namespace={api.space}")
    assert found.next("subscribed")["namespace"] == api.space
    return found


def raw(api: Api, properties: str, **more: str) -> int:
    """Publishes properties that are this very text; the seq."""
    fields = "".join(f',"{name}":{value}' for name, value in more.items())
    body = (
        f'{{"stream":"s","source":"s","payload":{{"entity_id":"{api.id("a")}",'
        f'"properties":{properties}{fields}}}}}'
    )
    answer = api.post("/api/events", body.encode())
    assert answer.status == 200, answer
    seq: int = answer.json["seq"]
    return seq


def moment(text: str) -> datetime:
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


def test_an_update_says_everything_about_one_property(
    api: Api, listener: Listener
) -> None:
    seq = api.publish("a", price=7)
    listener.wait_for_seq(seq)
    frame = listener.next("state_update")
    assert frame == {
        "type": "state_update",
        "entity_id": api.id("a"),
        "property": "price",
        "value": 7,
        "timestamp": frame["timestamp"],
        "seq": seq,
    }
    updated = api.entity("a").json["lastUpdated"]
    assert moment(frame["timestamp"]) == moment(updated)


def test_an_event_with_several_properties_is_several_frames(
    api: Api, listener: Listener
) -> None:
    names = ["z", "a", "", "ü", "m"]
    seq = api.publish("a", **dict.fromkeys(names, 1))
    listener.wait_for_seq(seq)
    frames = listener.about(api.id("a"))
    assert [frame["property"] for frame in frames] == names
    assert [frame.get("more") for frame in frames] == [True] * 4 + [None]
    assert {frame["seq"] for frame in frames} == {seq}
    assert len({frame["timestamp"] for frame in frames}) == 1


def test_the_largest_event_arrives_whole(api: Api, listener: Listener) -> None:
    seq = api.publish("a", **{f"p{number}": number for number in range(5_000)})
    listener.wait_for_seq(seq)
    frames = listener.about(api.id("a"))
    assert [frame["value"] for frame in frames] == list(range(5_000))
    assert [frame.get("more") for frame in frames] == [True] * 4_999 + [None]


def test_each_event_is_told_though_values_stay_the_same(
    api: Api, listener: Listener
) -> None:
    for _ in range(3):
        api.publish("a", x=1)
    fence(api, listener)
    assert heard(listener) == [(api.id("a"), "x", 1)] * 3


def test_a_removed_property_says_so(api: Api, listener: Listener) -> None:
    api.publish("a", x=1, y=2)
    seq = raw(api, "{}", unset='["x","never there"]')
    listener.wait_for_seq(seq)
    first, last = listener.about(api.id("a"))[2:]
    assert (first["type"], last["type"]) == ("state_update",) * 2
    assert (first["property"], last["property"]) == ("x", "never there")
    assert (first["value"], last["value"]) == (None, None)
    assert first["removed"] is last["removed"] is True
    assert (first.get("more"), last.get("more")) == (True, None)
    assert listener.view[api.id("a")] == {"y": 2}


def test_what_an_event_removes_and_sets_is_there(api: Api, listener: Listener) -> None:
    api.publish("a", x=1, y=1)
    seq = raw(api, '{"x":2,"z":3}', unset='["x","y"]')
    listener.wait_for_seq(seq)
    frames = [frame for frame in listener.about(api.id("a")) if frame["seq"] == seq]
    removed = [frame["property"] for frame in frames if frame.get("removed")]
    assert removed == ["x", "y"]
    assert [frame["property"] for frame in frames[2:]] == ["x", "z"]
    assert listener.view[api.id("a")] == {"x": 2, "z": 3}


def test_null_is_a_value(api: Api, listener: Listener) -> None:
    listener.wait_for_seq(api.publish("a", x=None))
    frame = listener.next("state_update")
    assert frame["value"] is None
    assert "removed" not in frame
    assert listener.view[api.id("a")] == {"x": None}


@pytest.mark.parametrize("more", [{}, {"unset": "[]"}])
def test_an_event_that_changes_no_property_touches(
    api: Api, listener: Listener, more: dict[str, str]
) -> None:
    seq = raw(api, "{}", **more)
    listener.wait_for_seq(seq)
    frame = listener.next("entity_touched")
    assert frame == {
        "type": "entity_touched",
        "entity_id": api.id("a"),
        "timestamp": frame["timestamp"],
        "seq": seq,
    }
    assert moment(frame["timestamp"]) == moment(api.entity("a").json["lastUpdated"])
    assert listener.view[api.id("a")] == {}


def test_a_tombstone_ends_an_entity(api: Api, listener: Listener) -> None:
    api.publish("a", x=1, y=2)
    seq = api.publish("a", __deleted__=True, z=3)
    listener.wait_for_seq(seq)
    frame = listener.next("entity_deleted")
    assert frame == {
        "type": "entity_deleted",
        "entity_id": api.id("a"),
        "timestamp": frame["timestamp"],
        "seq": seq,
    }
    moment(frame["timestamp"])
    assert api.id("a") not in listener.view
    listener.wait_for_seq(api.publish("a", y=4))
    assert listener.view[api.id("a")] == {"y": 4}
    assert len(listener.about(api.id("a"))) == 4


@pytest.mark.parametrize("value", [False, None, 1, "true"])
def test_only_true_is_a_tombstone(api: Api, listener: Listener, value: object) -> None:
    listener.wait_for_seq(api.publish("a", __deleted__=value))
    assert heard(listener) == [(api.id("a"), "__deleted__", value)]


def test_every_way_to_delete_is_told(api: Api, listener: Listener) -> None:
    for name in ("a", "b1", "b2", "c"):
        api.publish(name, x=1)
    assert api.ask("DELETE", f"/api/state/entities/{api.id('a')}").status == 200
    api.post("/api/state/entities/delete", {"prefix": api.id("b")})
    api.post("/api/state/entities/delete", {"entity_ids": [api.id("c")]})
    fence(api, listener)
    told = [entity_id for entity_id, kind, _ in heard(listener) if kind == "deleted"]
    assert told[0] == api.id("a")
    assert sorted(told[1:3]) == [api.id("b1"), api.id("b2")]
    assert told[3:] == [api.id("c")]


def test_a_tombstone_is_told_to_every_connection(
    api: Api, listen: Listen, follow: Follow
) -> None:
    sockets = [listen(f"?entity_id={api.id('other')}") for _ in range(2)]
    stream = follow(f"?prefix={api.id('other')}")
    nothing = listen(f"?entity_id={api.id('other')}")
    nothing.unsubscribe(entity_id=api.id("other"))
    api.publish("a", x=1)
    seq = api.publish("a", __deleted__=True)
    missing = api.publish("never there", __deleted__=True)
    for listener in (*sockets, stream, nothing):
        listener.wait_for_seq(missing)
        assert heard(listener) == [
            (api.id("a"), "deleted", None),
            (api.id("never there"), "deleted", None),
        ]
        assert [frame["seq"] for frame in listener.of("entity_deleted")] == [
            seq,
            missing,
        ]


EXACT = [
    "123456789012345678901234567890",
    "-123456789012345678901234567890.123456789012345678901234567890",
    "18446744073709551616",
    "1.10",
    "0.1000000000000000055511151231257827",
    "1e2",
    "1.5E+3",
    "0",
    "-0.0",
    "true",
    '"ü 🦀 \\u2028 \\ud83e\\udd80 \\n \\r \\t \\" \\\\ \\/ \u2028 \x7f"',
    '""',
    "[]",
    "{}",
    '[1.10,{"a":[null,{"b":2.50}]}]',
    '{"z":1,"a":{"y":[[[]]]},"":""}',
    "[\r\n  1,\n\n  2,\r 3 ]",
]


@pytest.mark.parametrize("text", EXACT)
def test_values_are_exact(api: Api, listener: Listener, text: str) -> None:
    seq = raw(api, f'{{"before":0, "value" : {text} ,"behind":1}}')
    listener.wait_for_seq(seq)
    value = listener.view[api.id("a")]["value"]
    assert value == exactly.loads(text)
    found = exactly.loads(api.entity("a").body)["properties"]
    assert found == listener.view[api.id("a")]


SIZES = [0, 1, 100, *range(118, 132), 65_300, 65_500, 65_536, 70_000, 900_000]


def test_values_of_every_size_arrive(api: Api, listener: Listener) -> None:
    for size in SIZES:
        listener.wait_for_seq(api.publish("a", value="x" * size))
    assert [len(str(value)) for _, _, value in heard(listener)] == SIZES


def test_frames_come_in_the_order_of_the_log(api: Api, listener: Listener) -> None:
    before = api.head()
    for start in range(0, 300, 100):
        events = [
            event(api.id(f"e{number % 7}"), {"number": number})
            for number in range(start, start + 100)
        ]
        assert api.post("/api/events/batch", events).json["successful"] == 100
    last = fence(api, listener)
    assert [value for _, _, value in heard(listener)] == list(range(300))
    assert listener.account.arrived == list(range(before + 1, last + 1))


def test_what_is_not_stored_is_not_told(api: Api, listener: Listener) -> None:
    one = event(api.id("a"), {"x": 1}, eventId=f"{api.space} once")
    for _ in range(3):
        assert api.post("/api/events", one).status == 200
    bad = event(api.id("a"), {"x": 2}, stream="No!")
    assert api.post("/api/events", bad).status == 400
    batch = [bad, one, event(api.id("a"), {"x": 3}), event("flux-core/x", {"x": 4})]
    assert api.post("/api/events/batch", batch).json["failed"] == 2
    fence(api, listener)
    assert heard(listener) == [(api.id("a"), "x", 1), (api.id("a"), "x", 3)]
