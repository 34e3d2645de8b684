"""`metrics_update`, which every WebSocket gets every two seconds (contract §5)."""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime

from tests.support.client import Api, event
from tests.support.exactly import Number
from tests.support.listener import Listener
from tests.support.live import Socket, Stream
from tests.support.servers import Server
from tests.support.view import Frame
from tests.ws.conftest import Listen

StartServer = Callable[..., Server]
SHAPE = {
    "entities": {"total"},
    "events": {"total", "rate_per_second"},
    "websocket": {"connections"},
    "publishers": {"active"},
}


def until(socket: Listener, is_so: Callable[[Frame], bool]) -> Frame:
    """The first metrics from now on that are so; twenty are looked at."""
    for _ in range(20):
        frame = socket.next("metrics_update")
        if is_so(frame):
            return frame
    raise AssertionError(frame)


def rate(frame: Frame) -> float:
    found = frame["events"]["rate_per_second"]
    return float(found.digits if isinstance(found, Number) else found)


def connections(frame: Frame) -> int:
    found: int = frame["websocket"]["connections"]
    return found


def alone(socket: Socket) -> None:
    """Until it is the only one: those of servers that have ended are forgotten."""
    until(socket, lambda one: connections(one) == 1)


def test_it_says_how_much_there_is(api: Api, listen: Listen) -> None:
    socket = listen("?entity_id=never/there")
    head = api.publish("a", x=1)
    frame = until(socket, lambda frame: frame["events"]["total"] >= head)
    assert frame["timestamp"].endswith("Z")
    datetime.fromisoformat(frame["timestamp"])
    for name, keys in SHAPE.items():
        assert frame[name].keys() == keys
        assert all(
            isinstance(number, int | float) or number for number in frame[name].values()
        )
    health = api.get("/api/health").json
    assert frame["events"]["total"] == head == health["seq"]
    assert frame["entities"]["total"] == health["entities"]


def test_it_counts_over_all_processes(start_server: StartServer) -> None:
    servers = [start_server(), start_server()]
    api = Api(servers[0].port)
    with Socket(servers[0].port).listen() as here:
        alone(here)
        there = [Socket(servers[1].port).listen() for _ in range(5)]
        until(here, lambda one: connections(one) == 6)
        for socket in there:
            socket.close()
        until(here, lambda one: connections(one) == 1)
        for number in range(7):
            one = event(api.id("a"), {"n": number}, source=f"{api.space} {number}")
            assert api.post("/api/events", one).status == 200
        until(here, lambda one: one["publishers"]["active"] >= 7)
        busy = until(here, lambda one: rate(one) > 0)
        assert busy["publishers"]["active"] >= 7
        until(here, lambda one: rate(one) == 0)
        until(here, lambda one: one["publishers"]["active"] == 0)
    api.close()


def test_a_stream_is_no_websocket(start_server: StartServer) -> None:
    """But it is told how many there are."""
    servers = [start_server(), start_server()]
    with Socket(servers[0].port).listen() as here:
        alone(here)
        with ExitStack() as opened:
            streams = [
                opened.enter_context(Stream(server.port).listen())
                for server in servers
                for _ in range(3)
            ]
            opened.enter_context(Socket(servers[1].port).listen())
            until(here, lambda one: connections(one) == 2)
            for stream in streams:
                until(stream, lambda one: connections(one) == 2)
        until(here, lambda one: connections(one) == 1)


def test_the_connections_of_a_killed_process_are_forgotten(
    start_server: StartServer,
) -> None:
    here_server, there_server = start_server(), start_server()
    with Socket(here_server.port).listen() as here:
        alone(here)
        there = [Socket(there_server.port).listen() for _ in range(4)]
        until(here, lambda one: connections(one) == 5)
        there_server.process.kill()
        there_server.process.wait()
        for socket in there:
            socket.wait_for_end()
            socket.close()
        assert connections(here.next("metrics_update")) == 5, "for a while"
        until(here, lambda one: connections(one) == 1)
        with Socket(here_server.port).listen():
            until(here, lambda one: connections(one) == 2)


def test_a_process_that_comes_later_knows_of_the_others(
    start_server: StartServer,
) -> None:
    first = start_server()
    with ExitStack() as opened:
        here = [opened.enter_context(Socket(first.port).listen()) for _ in range(3)]
        until(here[0], lambda one: connections(one) == 3)
        later = opened.enter_context(Socket(start_server().port).listen())
        assert connections(later.next("metrics_update")) == 4
