"""A server that is told to end: everybody hears of it, and nobody holds it up.

uvicorn says in its log when its grace was over before its connections were; with the
grace itself no time need be measured.
"""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest
from websockets.exceptions import ConnectionClosed

from tests.support import ledger
from tests.support import proxy as proxies
from tests.support.client import Api, Line, event, request
from tests.support.live import UPGRADE, Socket, Stream
from tests.support.proxy import Proxy
from tests.support.servers import Server, wait_for
from tests.ws.test_hostile import masked

StartServer = Callable[..., Server]
GRACE_IS_OVER = "timeout graceful shutdown exceeded"
GOODBYE = b"\x88\x0f\x03\xf4shutting_down"  # a close frame: 1012 and the reason
ENDED = {0, -signal.SIGTERM}


@pytest.fixture
def server(start_server: StartServer) -> Server:
    return start_server()


@pytest.fixture
def api(server: Server) -> Iterator[Api]:
    client = Api(server.port)
    yield client
    client.close()


@pytest.fixture
def lines() -> Iterator[list[Line]]:
    opened: list[Line] = []
    yield opened
    for line in opened:
        line.close()


def ended(server: Server) -> str:
    """Waits for its end, which was in time; its log."""
    assert server.process.wait(timeout=30) in ENDED
    log = server.log.read_text()
    assert GRACE_IS_OVER not in log
    assert "Traceback" not in log
    return log


def asking(port: int, way: str, query: str, *, receive_bytes: int | None) -> Line:
    """Somebody who listens, and reads nothing yet."""
    line = Line(port, receive_bytes=receive_bytes)
    if way == "ws":
        line.send(request("GET", f"/api/ws{query}", **UPGRADE))
    else:
        line.send(request("GET", f"/api/stream{query}"))
    return line


both_ways = pytest.mark.parametrize("way", ["ws", "sse"])


@both_ways
def test_who_reads_nothing_does_not_hold_up_the_end(
    server: Server, api: Api, lines: list[Line], way: str
) -> None:
    """However much waits for it: nothing, what the kernel takes, more than that."""
    for number in range(20):
        query = f"?entity_id={api.id(str(number))}"
        lines.append(asking(server.port, way, query, receive_bytes=4096))
    listening(api, len(lines))
    for number in range(20):
        for _ in range(2 * number):
            api.publish(str(number), text="x" * 6_000)
    server.process.terminate()
    ended(server)


@both_ways
def test_nor_does_a_replay_that_is_under_way(
    server: Server, api: Api, lines: list[Line], way: str
) -> None:
    since = api.head()
    for _ in range(20):
        many = [event(api.id("a"), {"text": "x" * 1_000}) for _ in range(500)]
        assert api.post("/api/events/batch", many).json["successful"] == 500
    query = f"?entity_id={api.id('a')}&since={since}"
    for _ in range(20):
        lines.append(asking(server.port, way, query, receive_bytes=4096))
    listening(api, len(lines))
    reading = [threading.Thread(target=read_all, args=(line,)) for line in lines[:10]]
    for one in reading:
        one.start()
    server.process.terminate()
    ended(server)
    for one in reading:
        one.join()


def read_all(line: Line) -> None:
    try:
        while line.socket.recv(1_000):
            pass
    except OSError:
        return


def listening(api: Api, count: int) -> None:
    def is_so() -> bool:
        text = api.get("/metrics").body.decode().splitlines()
        found = [line for line in text if line.startswith("flux_listeners{")]
        return sum(int(float(line.split()[-1])) for line in found) == count

    wait_for(is_so, what=f"{count} listeners")


def test_a_stream_that_waits_behind_another_is_refused(
    server: Server, api: Api
) -> None:
    line = Line(server.port)
    line.send(request("GET", "/api/stream?entity_id=a") * 2)
    listening(api, 1)
    server.process.terminate()
    assert b"shutting_down" in line.answer().body
    refused = line.answer()
    assert (refused.status, refused.code) == (503, "shutting_down")
    assert line.is_over()
    line.close()
    ended(server)


@pytest.fixture
def proxy(api_database: str) -> Iterator[Proxy]:
    with proxies.running(api_database) as running:
        yield running


@both_ways
def test_who_waits_to_be_let_in_is_refused(
    start_server: StartServer, proxy: Proxy, way: str
) -> None:
    proxy.refused = "flux feed"  # so it never sees where the log ends
    server = start_server(DATABASE_URL=proxy.url)
    line = asking(server.port, way, "", receive_bytes=None)
    api = Api(server.port)
    assert api.get("/api/connectors").status == 200  # the one before has arrived
    api.close()
    server.process.terminate()
    answer = line.answer()
    assert (answer.status, answer.code) == (503, "shutting_down")
    assert answer.headers["content-type"] == "application/json"
    assert line.is_over()
    line.close()
    ended(server)


def test_under_load_every_listener_is_told(server: Server, api: Api) -> None:
    with ExitStack() as opened:
        sockets = [Socket(server.port).listen() for _ in range(25)]
        streams = [Stream(server.port).listen() for _ in range(25)]
        for one in (*sockets, *streams):
            opened.callback(one.close)
        flooding = [Socket(server.port, "?entity_id=nobody").listen() for _ in range(3)]
        for one in flooding:
            opened.callback(one.close)
        over = threading.Event()
        publishing = [
            threading.Thread(target=publish_on, args=(one, api.id("a"), over))
            for one in flooding
        ]
        for thread in publishing:
            thread.start()
        for one in (*sockets, *streams):
            one.wait(lambda: len(one.of("state_update")) > 20, what="the load")  # noqa: B023  called now
        server.process.terminate()
        for one in (*sockets, *flooding):
            end = one.wait_for_end()
            assert (end.code, end.reason) == (1012, "shutting_down")
        for one in streams:
            assert one.wait_for_end().code == 1000
            assert one.frames[-1]["code"] == "shutting_down"
        over.set()
        for thread in publishing:
            thread.join()
        ended(server)


def test_a_publisher_that_is_not_read_from_is_told_too(
    server: Server, api: Api, api_database: str
) -> None:
    """Closing while bytes are unread would reset the connection, goodbye and all."""
    line = asking(server.port, "ws", "?entity_id=nobody", receive_bytes=None)
    assert line.answer().status == 101
    line.socket.settimeout(1)
    message = masked(1, b'{"type":"publish","event":{"stream":"s","source":"s",'
                     b'"payload":{"entity_id":"a","properties":{}}}}')  # fmt: skip
    with ledger.at(api_database) as connection, connection.transaction():
        connection.execute("LOCK TABLE events_event IN EXCLUSIVE MODE")
        with pytest.raises(TimeoutError):
            line.send(message * 200_000)
        server.process.terminate()
        told = b""
        while more := line.socket.recv(1 << 16):
            told += more
            if told.endswith(GOODBYE):
                line.socket.shutdown(socket.SHUT_WR)
    assert told.endswith(GOODBYE)
    line.close()
    ended(server)


def test_what_was_stored_is_acknowledged_before_the_goodbye(
    server: Server, api: Api, api_database: str
) -> None:
    """Who publishes knows of each event whether it was stored, with no eventId."""
    with ExitStack() as opened:
        over = threading.Event()
        flooding = [Socket(server.port, "?entity_id=nobody").listen() for _ in range(3)]
        for one in flooding:
            opened.callback(one.close)
        publishing = [
            threading.Thread(target=publish_on, args=(one, api.id("a"), over))
            for one in flooding
        ]
        for thread in publishing:
            thread.start()
        for one in flooding:
            one.wait(lambda: len(one.of("published")) > 20, what="the load")  # noqa: B023  called now
        server.process.terminate()
        for one in flooding:
            end = one.wait_for_end()
            assert (end.code, end.reason) == (1012, "shutting_down")
        over.set()
        for thread in publishing:
            thread.join()
        ended(server)
        answered = [
            result["seq"]
            for one in flooding
            for frame in one.of("published")
            for result in frame["results"]
        ]
    with ledger.at(api_database) as connection:
        stored = connection.execute(
            "SELECT seq FROM events_event WHERE entity_id = %s ORDER BY seq",
            (api.id("a"),),
        ).fetchall()
    assert sorted(answered) == [seq for (seq,) in stored]


def publish_on(listener: Socket, entity_id: str, over: threading.Event) -> None:
    message = {"type": "publish", "event": event(entity_id, {"text": "x" * 500})}
    with suppress(ConnectionClosed):
        while not over.wait(0.0005):
            listener.send(message)
