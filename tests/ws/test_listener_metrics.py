"""What `GET /metrics` says of the feed and its listeners (docs/operations.md)."""

from collections.abc import Callable, Iterator

import pytest

from tests.support import ledger, scrape
from tests.support.client import Api, event
from tests.support.listener import Listener
from tests.support.live import Socket, Stream, fence
from tests.support.scrape import Moved
from tests.support.servers import Server, wait_for
from tests.ws.conftest import Follow, Listen

StartServer = Callable[..., Server]
SECONDS = 20.0
# No socket's buffers hold so much.
FLOOD_EVENTS = 400


@pytest.fixture
def alone(start_server: StartServer) -> Iterator[Api]:
    """A server that no other test has listened to."""
    client = Api(start_server().port)
    yield client
    client.close()


def listening(api: Api) -> tuple[float, float]:
    found = scrape.of(api)
    return found.value("listeners", kind="ws"), found.value("listeners", kind="sse")


def until_listening(api: Api, sockets: int, streams: int) -> None:
    wait_for(
        lambda: listening(api) == (sockets, streams),
        what=f"{sockets} and {streams} listeners: {listening(api)}",
        seconds=SECONDS,
    )


def test_listeners_are_counted_by_kind_while_they_listen(alone: Api) -> None:
    sockets = [Socket(alone.port).listen() for _ in range(5)]
    streams = [Stream(alone.port).listen() for _ in range(3)]
    until_listening(alone, 5, 3)
    sockets.pop().close()
    sockets.pop().vanish()
    streams.pop().close()
    until_listening(alone, 3, 2)
    for one in (*sockets, *streams):
        one.close()
    until_listening(alone, 0, 0)
    found = scrape.of(alone)
    assert found.value("listener_ends_total", reason="client") == 8
    assert found.total("listener_ends_total") == 8


def test_refused_ones_never_listened(alone: Api) -> None:
    for query in ("?since=x", "?since=99999999999"):
        assert alone.get(f"/api/stream{query}").status == 400
    found = scrape.of(alone)
    assert listening(alone) == (0, 0)
    assert found.total("listener_ends_total") == 0
    assert found.value("errors_total", code="since_ahead") == 1


@pytest.mark.parametrize("opening", [Socket, Stream])
def test_each_frame_that_came_was_counted(
    alone: Api, opening: Callable[..., Listener]
) -> None:
    before = alone.publish("a", x=0)
    alone.publish("a", x=1, y=2, z=3)
    listeners = [
        opening(alone.port, query).listen()
        for query in (f"?since={before}", "?snapshot=1", "?prefix=none", "")
    ]
    alone.publish("b", x=1, y=2)
    alone.post("/api/events", event(alone.id("c")))
    fence(alone, *listeners)

    def is_so() -> bool:
        sent = scrape.of(alone).value("frames_sent_total")
        return sent == sum(len(one.frames) for one in listeners)

    wait_for(is_so, what="as many as were counted", seconds=SECONDS)
    assert all(len(one.frames) > 1 for one in listeners)
    for one in listeners:
        one.close()


def test_replays_and_snapshots_are_counted(
    api: Api, listen: Listen, follow: Follow
) -> None:
    head = api.publish("a", x=1)
    with Moved(api) as moved:
        for opening in (listen, follow):
            opening(f"?since={head}").next("replay_end")
            for _ in range(2):
                opening("?snapshot=1").next("snapshot_end")
            opening("?entity_id=a").next("subscribed")
        socket = listen()
        socket.subscribe(prefix="x", since=head)
        socket.next("replay_end")
    assert moved.total("replays_total") == 3
    assert moved.total("snapshots_total") == 4


def test_each_conflation_that_was_told_is_counted(alone: Api) -> None:
    slow = Socket(alone.port, f"?prefix={alone.id('')}", receive_bytes=4096)
    with Socket(alone.port, "?entity_id=never/there").listen() as clock, slow:
        for start in range(0, FLOOD_EVENTS, 100):
            events = [
                event(alone.id("flood"), {"n": number, "text": "x" * 20_000})
                for number in range(start, start + 100)
            ]
            assert alone.post("/api/events/batch", events).json["successful"] == 100
        for _ in range(3):
            clock.next("metrics_update")  # longer than the server's patience
        slow.listen()
        fence(alone, slow)
        conflated = len(slow.of("conflated"))
        assert conflated > 0
        assert scrape.of(alone).value("conflations_total") == conflated


def test_the_place_of_the_feed_is_the_end_of_the_log(
    alone: Api, start_server: StartServer
) -> None:
    """Also before anything comes: a feed begins where the log ends."""
    head = alone.publish("a", x=1)
    later = Api(start_server().port)
    for api in (alone, later):
        until_at(api, head)
    head = later.publish("a", x=2)
    with Socket(later.port).listen() as socket:
        for api in (alone, later):
            until_at(api, head)
        head = fence(later, socket)
        for api in (alone, later):
            until_at(api, head)
    later.close()


def until_at(api: Api, seq: int) -> None:
    wait_for(
        lambda: scrape.of(api).value("feed_seq") == seq,
        what=f"{seq} as the place of the feed",
        seconds=SECONDS,
    )


def test_the_lag_is_measured_when_somebody_listens(alone: Api) -> None:
    with Socket(alone.port).listen() as socket:
        fence(alone, socket)
        with Moved(alone) as moved:
            for _ in range(5):
                fence(alone, socket)
    assert moved.total("feed_lag_seconds_count") == 5
    assert moved.total("feed_lag_seconds_sum") > 0
    assert moved.total("feed_lag_seconds_bucket", le="+Inf") == 5


def test_a_loss_of_the_database_is_counted_once(alone: Api, api_database: str) -> None:
    with Socket(alone.port).listen() as socket:
        fence(alone, socket)
        wait_for(
            lambda: scrape.of(alone).value("feed_reads_total"),
            what="its looking at the log by itself",
            seconds=SECONDS,
        )
        assert scrape.of(alone).value("feed_reconnects_total") == 0
        with ledger.at(api_database) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE"
                " application_name = 'flux feed' AND datname = current_database()"
            )
        wait_for(
            lambda: scrape.of(alone).value("feed_reconnects_total") == 1,
            what="the count of a loss",
            seconds=SECONDS,
        )
        fence(alone, socket)
        assert scrape.of(alone).value("feed_reconnects_total") == 1
