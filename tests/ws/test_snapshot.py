"""Subscriptions that begin with the state as it is (contract §5)."""

import pytest

from tests.support import exactly, load
from tests.support.client import Api, event
from tests.support.history import state
from tests.support.listener import Listener
from tests.support.live import Socket, fence, heard
from tests.support.servers import Server
from tests.ws.conftest import Follow, Listen

MANY = 2_500
BATCH = 500


def shown(listener: Listener) -> list[dict[str, object]]:
    """The frames between the start and the end of the first snapshot."""
    kinds = [frame["type"] for frame in listener.frames]
    start, end = kinds.index("snapshot_start"), kinds.index("snapshot_end")
    inside = listener.frames[start + 1 : end]
    return [frame for frame in inside if frame["type"] != "metrics_update"]


def test_the_state_comes_first_and_then_what_happens(api: Api, listen: Listen) -> None:
    first = api.publish("a", x=1, y=2)
    second = api.publish("b", z=3)
    socket = listen()
    ack = socket.subscribe(namespace=api.space, snapshot=True)
    end = socket.next("snapshot_end")
    assert ack["seq"] <= end["seq"]
    assert end["seq"] == second
    frames = [
        (one["entity_id"], one["property"], one["value"], one["seq"], one.get("more"))
        for one in shown(socket)
    ]
    assert frames == [
        (api.id("a"), "x", 1, first, True),
        (api.id("a"), "y", 2, first, None),
        (api.id("b"), "z", 3, second, None),
    ]
    socket.wait_for_seq(api.publish("a", x=4))
    assert socket.view.entities() == {
        api.id("a"): {"x": 4, "y": 2},
        api.id("b"): {"z": 3},
    }
    kinds = [frame["type"] for frame in socket.said]
    assert kinds[:2] == ["subscribed", "snapshot_start"]
    assert kinds[-2:] == ["snapshot_end", "state_update"]


@pytest.mark.parametrize("kind", ["entity_id", "prefix", "namespace"])
def test_a_snapshot_without_entities_is_sent_too(
    api: Api, listen: Listen, kind: str
) -> None:
    socket = listen()
    socket.subscribe({kind: api.space}, snapshot=True)
    end = socket.next("snapshot_end")
    assert end["seq"] == api.head()
    assert shown(socket) == []


def test_a_snapshot_shows_what_was_asked_for_alone(api: Api, listen: Listen) -> None:
    for name in ("a", "ab", "b", "A"):
        api.publish(name, of=name)
    api.publish("gone", x=1)
    api.publish("gone", __deleted__=True)
    wanted = {
        "a": {"entity_id": api.id("a")},
        "a ab": {"prefix": api.id("a")},
        "A a ab b": {"namespace": api.space},
    }
    for names, interest in wanted.items():
        socket = listen()
        socket.subscribe(interest, snapshot=True)
        socket.next("snapshot_end")
        assert [one["value"] for one in shown(socket)] == names.split()


def test_an_entity_without_properties_is_shown(api: Api, listen: Listen) -> None:
    seq = api.publish("a")
    socket = listen(f"?namespace={api.space}&snapshot=1")
    socket.next("snapshot_end")
    frame = shown(socket)[0]
    assert frame == {
        "type": "entity_touched",
        "entity_id": api.id("a"),
        "timestamp": frame["timestamp"],
        "seq": seq,
    }
    assert socket.view.entities() == {api.id("a"): {}}


def test_a_snapshot_of_many_pages_is_whole(
    api: Api, listen: Listen, follow: Follow
) -> None:
    for start in range(0, MANY, BATCH):
        events = [
            event(api.id(f"{number:05}"), {"number": number, "text": "é" * 40})
            for number in range(start, start + BATCH)
        ]
        assert api.post("/api/events/batch", events).json["successful"] == BATCH
    query = f"?prefix={api.id('')}&snapshot=1"
    for listener in (listen(query), follow(query)):
        listener.next("snapshot_end")
        numbers = [
            one["value"] for one in shown(listener) if one["property"] == "number"
        ]
        assert numbers == list(range(MANY))
        assert listener.view.entities() == state(api, f"namespace={api.space}")


def test_a_snapshot_is_exact(api: Api, listen: Listen) -> None:
    values = '{"a":1.10,"b":123456789012345678901234567890,"c":{"d":[2.50,null,"ü🦀"]}}'
    body = (
        f'{{"stream":"s","source":"s","payload":'
        f'{{"entity_id":"{api.id("a")}","properties":{values}}}}}'
    )
    assert api.post("/api/events", body.encode()).status == 200
    socket = listen(f"?entity_id={api.id('a')}&snapshot=1")
    socket.next("snapshot_end")
    assert socket.view[api.id("a")] == exactly.loads(values)


def test_a_snapshot_of_everything_leaves_the_directory_out(
    api: Api, listen: Listen
) -> None:
    api.publish("a", x=1)
    naming = listen("?entity_id=flux-core/directory&snapshot=1")
    naming.wait(lambda: "flux-core/directory" in naming.view, what="the directory")
    for query in ("?snapshot=1", "?entity_id=*&snapshot=1", "?prefix=&snapshot=1"):
        socket = listen(query)
        socket.next("snapshot_end")
        assert "flux-core/directory" not in socket.view
        assert api.id("a") in socket.view
        assert socket.view.entities().keys() == state(api).keys()


@pytest.mark.parametrize(
    "interest", ["entity_id=flux-core/directory", "namespace=flux-core"]
)
def test_a_snapshot_that_names_the_directory_shows_it(
    api: Api, listen: Listen, interest: str
) -> None:
    waiting = listen(f"?{interest}")
    api.publish("a", x=1)
    waiting.wait(lambda: "flux-core/directory" in waiting.view, what="the directory")
    socket = listen(f"?{interest}&snapshot=1")
    socket.next("snapshot_end")
    assert "flux-core/directory" in socket.view


def test_a_second_snapshot_on_a_connection(api: Api, listen: Listen) -> None:
    api.publish("a", x=1)
    api.publish("b", x=2)
    socket = listen()
    socket.subscribe(entity_id=api.id("a"), snapshot=True)
    socket.subscribe(entity_id=api.id("b"), snapshot=True)
    socket.wait(lambda: len(socket.of("snapshot_end")) == 2, what="both snapshots")
    assert socket.view.entities() == {api.id("a"): {"x": 1}, api.id("b"): {"x": 2}}
    assert socket.account.faults == []


def test_a_snapshot_amid_writes_misses_nothing(
    server: Server, api: Api, listen: Listen
) -> None:
    """Whatever moment it fell into: in the end each view is the state."""
    sockets: list[Socket] = []
    with load.running([server.port], writers=6, pause=0) as running:
        for _ in range(6):
            running.goes_on(30)
            sockets.append(listen("?prefix=crowd/&snapshot=1"))
            sockets.append(listen("?prefix=alone/"))
            sockets[-1].subscribe(prefix="crowd/", snapshot=True)
        running.goes_on(30)
    fence(api, *sockets)
    expected = state(api, "prefix=crowd/")
    for socket in sockets:
        found = socket.view.entities(lambda entity_id: entity_id.startswith("crowd/"))
        assert found == expected
        assert socket.account.faults == []
        assert len(heard(socket)) > len(shown(socket)), "nothing came behind it"
