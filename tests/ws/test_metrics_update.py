"""`metrics_update`, which every WebSocket gets every two seconds (contract §5)."""

from collections.abc import Callable
from datetime import datetime

from tests.support.client import Api, event
from tests.support.exactly import Number
from tests.support.live import Socket
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


def until(socket: Socket, is_so: Callable[[Frame], bool]) -> Frame:
    """The first metrics from now on that are so; twenty are looked at."""
    for _ in range(20):
        frame = socket.next("metrics_update")
        if is_so(frame):
            return frame
    raise AssertionError(frame)


def rate(frame: Frame) -> float:
    found = frame["events"]["rate_per_second"]
    return float(found.digits if isinstance(found, Number) else found)


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
        base = here.next("metrics_update")["websocket"]["connections"]
        there = [Socket(servers[1].port).listen() for _ in range(5)]
        until(here, lambda one: one["websocket"]["connections"] == base + 5)
        for socket in there:
            socket.close()
        until(here, lambda one: one["websocket"]["connections"] == base)
        for number in range(7):
            one = event(api.id("a"), {"n": number}, source=f"{api.space} {number}")
            assert api.post("/api/events", one).status == 200
        until(here, lambda one: one["publishers"]["active"] >= 7)
        busy = until(here, lambda one: rate(one) > 0)
        assert busy["publishers"]["active"] >= 7
        until(here, lambda one: rate(one) == 0)
        until(here, lambda one: one["publishers"]["active"] == 0)
    api.close()
