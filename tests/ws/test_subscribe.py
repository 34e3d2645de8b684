"""`subscribe` and `unsubscribe` on `GET /api/ws` (contract §5)."""

from functools import partial

import pytest

from tests.support.client import Api, event
from tests.support.live import Socket, fence, heard
from tests.ws.conftest import Listen

INTERESTS = {"entity_id": "a", "prefix": "a", "namespace": ""}


def interest(api: Api, kind: str, name: str) -> dict[str, str]:
    """A namespace is the client's own; ids and prefixes lie in it."""
    return {kind: api.space if kind == "namespace" else api.id(name)}


def test_a_connection_that_never_subscribed_receives_everything(
    api: Api, listen: Listen
) -> None:
    socket = listen()
    api.publish("a", x=1)
    elsewhere = f"lone-{api.space}"
    api.post("/api/events", event(elsewhere, {"y": None}))
    fence(api, socket)
    assert heard(socket) == [(api.id("a"), "x", 1), (elsewhere, "y", None)]
    assert not socket.of("subscribed", "replay_start", "snapshot_start", "error")


def test_a_star_is_everything(api: Api, listen: Listen) -> None:
    socket = listen()
    ack = socket.subscribe(entity_id="*")
    assert ack["entity_id"] == "*"
    api.publish("a", x=1)
    elsewhere = f"lone-{api.space}"
    api.post("/api/events", event(elsewhere, {"y": 2}))
    fence(api, socket)
    assert heard(socket) == [(api.id("a"), "x", 1), (elsewhere, "y", 2)]


def test_a_subscription_to_an_entity_brings_that_entity_alone(
    api: Api, listen: Listen
) -> None:
    socket = listen()
    socket.subscribe(entity_id=api.id("a"))
    for name in ("a", "ab", "A", "a/b", "b", "a"):
        api.publish(name, of=name)
    fence(api, socket)
    assert heard(socket) == [(api.id("a"), "of", "a")] * 2


def test_a_prefix_brings_all_ids_that_begin_with_it(api: Api, listen: Listen) -> None:
    socket = listen()
    socket.subscribe(prefix=api.id("room/é"))
    for name in ("room/é", "room/élan", "room/É", "room/e", "room", "x/room/é"):
        api.publish(name, of=name)
    fence(api, socket)
    assert [value for _, _, value in heard(socket)] == ["room/é", "room/élan"]


def test_a_namespace_brings_its_entities_and_no_others(
    api: Api, listen: Listen
) -> None:
    socket = listen()
    socket.subscribe(namespace=api.space)
    api.publish("a", of="a")
    api.publish("a/b", of="a/b")
    for foreign in (f"{api.space}x/a", f"x{api.space}/a", api.space):
        api.post("/api/events", event(foreign, {"of": foreign}))
    fence(api, socket)
    assert [value for _, _, value in heard(socket)] == ["a", "a/b"]


def test_the_namespace_default_has_the_ids_without_a_slash(
    api: Api, listen: Listen
) -> None:
    socket = listen()
    socket.subscribe(namespace="default")
    mine = [f"lone-{api.space}", f"default/{api.space}"]
    for entity_id in (*mine, api.id("a")):
        api.post("/api/events", event(entity_id, {"x": 1}))
    fence(api, socket)
    assert [entity_id for entity_id, _, _ in heard(socket)] == mine


def test_several_subscriptions_add_up(api: Api, listen: Listen) -> None:
    socket = listen()
    socket.subscribe(entity_id=api.id("a"))
    socket.subscribe(prefix=api.id("b"))
    for name in ("a", "b1", "c", "b2", "a"):
        api.publish(name, of=name)
    fence(api, socket)
    assert [value for _, _, value in heard(socket)] == ["a", "b1", "b2", "a"]


def test_overlapping_subscriptions_deliver_an_event_once(
    api: Api, listen: Listen
) -> None:
    socket = listen()
    socket.subscribe(entity_id="*")
    socket.subscribe(entity_id=api.id("a"))
    socket.subscribe(prefix=api.id(""))
    socket.subscribe(prefix="")
    socket.subscribe(namespace=api.space)
    socket.subscribe(entity_id=api.id("a"))
    for number in range(5):
        api.publish("a", number=number, more=number)
    api.publish("a", __deleted__=True)
    fence(api, socket)
    numbers = [value for _, name, value in heard(socket) if name == "number"]
    assert numbers == [0, 1, 2, 3, 4]
    assert len(heard(socket)) == 11


@pytest.mark.parametrize("kind", INTERESTS)
def test_an_acknowledgement_says_to_what_and_from_where(
    api: Api, listen: Listen, kind: str
) -> None:
    socket = listen()
    for number in range(3):
        before = api.publish("a", number=number)
        wanted = interest(api, kind, "a")
        ack = socket.subscribe(wanted)
        assert ack == {"type": "subscribed", **wanted, "seq": before}
        last = api.publish("a", number=number)
        socket.wait_for_seq(last)
        gone = socket.unsubscribe(**wanted)
        assert gone == {"type": "unsubscribed", **wanted, "seq": last}


@pytest.mark.parametrize("kind", INTERESTS)
def test_after_unsubscribe_nothing_comes_but_tombstones(
    api: Api, listen: Listen, kind: str
) -> None:
    socket = listen()
    wanted = interest(api, kind, "a")
    socket.subscribe(wanted)
    socket.wait_for_seq(api.publish("a", x=1))
    socket.unsubscribe(**wanted)
    api.publish("a", x=2)
    api.publish("a", __deleted__=True)
    fence(api, socket)
    assert heard(socket)[-2:] == [(api.id("a"), "x", 1), (api.id("a"), "deleted", None)]
    assert (api.id("a"), "x", 2) not in heard(socket)


def test_the_other_subscriptions_outlive_an_unsubscribe(
    api: Api, listen: Listen
) -> None:
    socket = listen()
    socket.subscribe(prefix=api.id(""))
    socket.subscribe(entity_id=api.id("a"))
    socket.unsubscribe(prefix=api.id(""))
    api.publish("b", x=1)
    api.publish("a", x=2)
    fence(api, socket)
    assert heard(socket) == [(api.id("a"), "x", 2)]


def test_the_same_subscription_twice_ends_with_one_unsubscribe(
    api: Api, listen: Listen
) -> None:
    socket = listen()
    for _ in range(2):
        assert socket.subscribe(entity_id=api.id("a"))["entity_id"] == api.id("a")
    socket.unsubscribe(entity_id=api.id("a"))
    api.publish("a", x=1)
    fence(api, socket)
    assert heard(socket) == []


def test_what_is_not_subscribed_cannot_be_unsubscribed(
    api: Api, listen: Listen
) -> None:
    socket = listen()
    never = {"type": "unsubscribe", "entity_id": api.id("a")}
    socket.send(never)
    assert socket.next("error")["code"] == "not_subscribed"
    api.publish("a", x=1)
    fence(api, socket)
    assert heard(socket) == [(api.id("a"), "x", 1)], "it still receives everything"
    socket.subscribe(prefix=api.id("a"))
    socket.send(never)
    assert socket.next("error")["code"] == "not_subscribed"


def test_a_refused_subscribe_leaves_a_connection_with_everything(
    api: Api, listen: Listen
) -> None:
    socket = listen()
    socket.send({"type": "subscribe", "entity_id": "/x"})
    assert socket.next("error")["code"] == "invalid_entity_id"
    api.publish("a", x=1)
    fence(api, socket)
    assert heard(socket) == [(api.id("a"), "x", 1)]


STRANGE = ["with/many/parts", "ü🦀", "%2F&=?", " ", '"quoted\\"', "x" * 480]


def test_any_id_can_be_subscribed_to(api: Api, listen: Listen) -> None:
    socket = listen()
    for name in STRANGE:
        assert socket.subscribe(entity_id=api.id(name))["entity_id"] == api.id(name)
    for name in STRANGE:
        api.publish(name, x=1)
    fence(api, socket)
    assert [entity_id for entity_id, _, _ in heard(socket)] == list(
        map(api.id, STRANGE)
    )


DIRECTORY = [
    {"entity_id": "flux-core/directory"},
    {"namespace": "flux-core"},
    {"prefix": "flux-core/"},
    {"prefix": "flux-core/dir"},
]


def knows_namespace(socket: Socket, space: str) -> bool:
    if "flux-core/directory" not in socket.view:
        return False
    return space in socket.view["flux-core/directory"].get("namespaces", {})


def test_the_directory_comes_to_those_who_name_it_alone(
    api: Api, listen: Listen
) -> None:
    naming = [listen() for _ in DIRECTORY]
    for socket, wanted in zip(naming, DIRECTORY, strict=True):
        socket.subscribe(wanted)
    others = [listen() for _ in range(3)]
    others[0].subscribe(entity_id="*")
    others[1].subscribe(prefix="flux")
    api.publish("a", x=1)
    for socket in naming:
        has_it = partial(knows_namespace, socket, api.space)
        socket.wait(has_it, what="the directory with the new namespace")
        found = socket.view["flux-core/directory"]
        assert found["namespaces"][api.space]["entity_count"] == 1
        assert {"total_entities", "total_namespaces", "updated_at"} <= found.keys()
    fence(api, *naming, *others)
    for socket in others:
        assert not socket.about("flux-core/directory")
