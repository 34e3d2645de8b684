"""Subscriptions that begin at a place of the log (contract §5)."""

import pytest

from tests.support import load
from tests.support.account import check
from tests.support.client import Api, event
from tests.support.history import history
from tests.support.live import Socket, fence, heard
from tests.support.servers import Server
from tests.ws.conftest import Follow, Listen

MANY = 3_000
BATCH = 500


def replay(socket: Socket) -> tuple[int, int]:
    """From and to which seq the next replay goes; it has ended."""
    start, end = socket.next("replay_start"), socket.next("replay_end")
    assert start["to_seq"] == end["seq"]
    return start["from_seq"], end["seq"]


def test_everything_after_that_place_comes_and_then_what_happens(
    api: Api, listen: Listen
) -> None:
    seqs = [api.publish("a", n=number) for number in range(4)]
    socket = listen()
    ack = socket.subscribe(entity_id=api.id("a"), since=seqs[1])
    assert replay(socket) == (seqs[1] + 1, seqs[3])
    assert ack["entity_id"] == api.id("a")
    seqs.append(api.publish("a", n=4))
    socket.wait_for_seq(seqs[4])
    assert [value for _, _, value in heard(socket)] == [2, 3, 4]
    kinds = [frame["type"] for frame in socket.said]
    update = "state_update"
    assert kinds == [
        "subscribed",
        "replay_start",
        update,
        update,
        "replay_end",
        update,
    ]


def test_since_zero_is_the_whole_log(api: Api, listen: Listen) -> None:
    seqs = [api.publish("a", n=number) for number in range(3)]
    socket = listen()
    socket.subscribe(entity_id=api.id("a"), since=0)
    assert replay(socket) == (1, seqs[-1])
    assert [value for _, _, value in heard(socket)] == [0, 1, 2]


@pytest.mark.parametrize("kind", ["entity_id", "prefix", "namespace"])
def test_a_replay_without_events_is_sent_too(
    api: Api, listen: Listen, kind: str
) -> None:
    head = api.publish("a", x=1)
    socket = listen()
    for since in (head, head - 1):
        wanted = f"never-{since}/x" if kind == "entity_id" else f"never-{since}"
        socket.subscribe({kind: wanted}, since=since)
        assert replay(socket) == (since + 1, head)
    assert heard(socket) == []


def test_since_beyond_the_head_is_an_error(api: Api, listen: Listen) -> None:
    socket = listen(f"?entity_id={api.id('a')}")
    head = api.publish("a", x=1)
    for since in (head + 1, head + 1_000_000):
        socket.send({"type": "subscribe", "entity_id": "*", "since": since})
        assert socket.next("error")["code"] == "since_ahead"
    api.publish("b", x=2)
    fence(api, socket)
    assert heard(socket) == [(api.id("a"), "x", 1)]


def test_what_was_just_published_is_no_place_ahead(api: Api, listen: Listen) -> None:
    """A 200 says that it is committed: whoever names its seq must be understood."""
    for number in range(30):
        seq = api.publish("a", n=number)
        socket = listen(f"?entity_id={api.id('a')}&since={seq}")
        assert replay(socket) == (seq + 1, seq)
        socket.close()


def test_a_replay_shows_what_was_asked_for_alone(api: Api, listen: Listen) -> None:
    before = api.head()
    for name in ("a", "ab", "b", "A"):
        api.publish(name, of=name)
    api.publish("b", __deleted__=True)
    api.post("/api/events", event(f"{api.space}x/a", {"of": "foreign"}))
    wanted: dict[str, dict[str, str]] = {
        "a": {"entity_id": api.id("a")},
        "a ab": {"prefix": api.id("a")},
        "a ab b A": {"namespace": api.space},
        "a ab b A foreign": {"entity_id": "*"},
    }
    for names, interest in wanted.items():
        socket = listen()
        socket.subscribe(interest, since=before)
        replay(socket)
        found = [value for _, kind, value in heard(socket) if kind == "of"]
        assert found == names.split()
        assert len(socket.of("entity_deleted")) == ("b" in names.split())


def test_a_replay_tells_all_there_is_about_an_event(api: Api, listen: Listen) -> None:
    """Live or from the log: the same frames, to the letter."""
    live = listen(f"?namespace={api.space}")
    before = api.head()
    api.publish("a", x=1, y=[1, {"z": "ü"}], z=None)
    api.publish("a")
    payload = {"entity_id": api.id("a"), "properties": {"x": 2}, "unset": ["x", "y"]}
    api.post("/api/events", event("", payload=payload))
    api.post(
        "/api/events",
        f'{{"stream":"s","source":"s","payload":{{"entity_id":"{api.id("b")}",'
        '"properties":{"n":1.10,"e":1e2,"big":123456789012345678901234567890}}}'.encode(),
    )
    api.publish("a", __deleted__=True, x=3)
    last = api.publish("a", x=4)
    live.wait_for_seq(last)
    later = listen(f"?namespace={api.space}&since={before}")
    replay(later)
    kinds = {"state_update", "entity_touched", "entity_deleted"}
    assert later.of(*kinds) == live.of(*kinds)
    assert later.view.entities() == live.view.entities()


def test_a_replay_of_many_events_is_whole(
    api: Api, listen: Listen, follow: Follow
) -> None:
    before = api.head()
    for start in range(0, MANY, BATCH):
        events = [
            event(api.id(f"e{number % 10}"), {"n": number, "text": "é" * 200})
            for number in range(start, start + BATCH)
        ]
        assert api.post("/api/events/batch", events).json["successful"] == BATCH
    query = f"?prefix={api.id('')}&since={before}"
    for listener in (listen(query), follow(query)):
        listener.next("replay_end")
        numbers = [value for _, kind, value in heard(listener) if kind == "n"]
        assert numbers == list(range(MANY))
        assert listener.account.arrived == list(range(before + 1, before + MANY + 1))


def test_what_another_subscription_delivered_is_not_repeated(
    api: Api, listen: Listen
) -> None:
    before = api.head()
    api.publish("a", n=0)
    api.publish("b", n=1)
    socket = listen()
    socket.subscribe(entity_id=api.id("a"))
    socket.wait_for_seq(api.publish("a", n=2))
    api.publish("b", n=3)
    socket.subscribe(prefix=api.id(""), since=before)
    replay(socket)
    socket.wait_for_seq(api.publish("a", n=4))
    assert [value for _, _, value in heard(socket)] == [2, 0, 1, 3, 4]
    socket.subscribe(entity_id="*", since=before)
    replay(socket)
    fence(api, socket)
    assert len([one for one in heard(socket) if one[0].startswith(api.space)]) == 5
    assert socket.account.faults == []


def test_what_came_before_the_first_subscribe_does_not_count(
    api: Api, listen: Listen
) -> None:
    socket = listen()
    before = api.head()
    socket.wait_for_seq(api.publish("a", n=0))
    socket.subscribe(entity_id=api.id("a"), since=before)
    replay(socket)
    assert [value for _, _, value in heard(socket)] == [0, 0]


def test_a_replay_never_tells_of_foreign_tombstones(api: Api, listen: Listen) -> None:
    before = api.head()
    api.publish("b", __deleted__=True)
    socket = listen(f"?entity_id={api.id('a')}&since={before}")
    replay(socket)
    assert not socket.of("entity_deleted")
    socket.wait_for_seq(api.publish("b", __deleted__=True))
    assert len(socket.of("entity_deleted")) == 1


def test_replays_amid_writes_miss_nothing_and_repeat_nothing(
    server: Server, api: Api, listen: Listen
) -> None:
    before = api.head()
    sockets: list[Socket] = []
    with load.running([server.port], writers=6, pause=0) as running:
        for _ in range(6):
            running.goes_on(30)
            # Without a subscription in the handshake everything would come until then.
            sockets.append(listen("?entity_id=nobody"))
            sockets[-1].ask(entity_id="crowd/1", since=before)
            sockets[-1].ask(prefix="crowd/", since=before)
            sockets[-1].ask(entity_id="*", since=before)
        running.goes_on(30)
    upto = fence(api, *sockets)
    said = history(api, after=before)
    for socket in sockets:
        check(socket.account, said, upto=upto)
