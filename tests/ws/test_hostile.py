"""Peers that mean harm, or break: each ends by itself and harms nobody."""

import socket
from collections.abc import Callable, Iterator

import pytest

from tests.support.client import Api, Line, request
from tests.support.live import UPGRADE, Socket, fence
from tests.support.servers import Server, wait_for
from tests.ws.test_limits import ends

StartServer = Callable[..., Server]


@pytest.fixture
def server(start_server: StartServer) -> Server:
    return start_server(FLUX_STALL_SECONDS="2")


@pytest.fixture
def api(server: Server) -> Iterator[Api]:
    client = Api(server.port)
    yield client
    client.close()


def masked(opcode: int, data: bytes = b"", *, is_final: bool = True) -> bytes:
    """A client's frame; its mask is zero, so the data stand as they are."""
    assert len(data) < 126
    head = bytes(((0x80 if is_final else 0) | opcode, 0x80 | len(data)))
    return head + b"\0\0\0\0" + data


def opened(server: Server, query: str = "", *, behind: bytes = b"") -> Line:
    """A socket by hand; `behind`: what comes in the same packet as the handshake."""
    line = Line(server.port, receive_bytes=4096)
    line.send(request("GET", f"/api/ws{query}", **UPGRADE) + behind)
    return line


def listeners(api: Api) -> int:
    """Those of this server, by its own metrics; kinds are summed."""
    lines = api.get("/metrics").body.decode().splitlines()
    found = [line for line in lines if line.startswith("flux_listeners{")]
    return sum(int(float(line.split()[-1])) for line in found)


def are_gone(api: Api) -> None:
    wait_for(lambda: listeners(api) == 0, what="the end of all listeners")


ODD = [
    b'{"type":"subscribe","entity_id":"a","snapshot":[]}',
    b'{"type":"subscribe","entity_id":"a","snapshot":1}',
    b'{"type":"subscribe","entity_id":"a","since":[1]}',
    b'{"type":"subscribe","entity_id":"a","since":true}',
    b'{"type":"subscribe","entity_id":{},"prefix":null}',
    b'{"type":["subscribe"]}',
    b'{"type":"publish","event":[],"ref":[[[1]]]}',
]


@pytest.mark.parametrize("text", ODD)
def test_odd_types_get_an_error_and_nothing_ends(
    server: Server, api: Api, text: bytes
) -> None:
    with Socket(server.port).listen() as listener:
        listener.send(text)
        kind = "published" if b"publish" in text else "error"
        listener.next(kind)
        fence(api, listener)


@pytest.mark.parametrize("text", ODD)
def test_they_may_come_with_the_handshake(
    server: Server, api: Api, text: bytes
) -> None:
    line = opened(server, behind=masked(1, text))
    assert line.answer().status == 101
    line.socket.close()
    are_gone(api)


def test_fragments_without_a_size_are_bounded_too(server: Server, api: Api) -> None:
    line = opened(server)
    assert line.answer().status == 101
    line.send(masked(1, is_final=False))
    line.send(masked(0, is_final=False) * 20_000)
    wait_for(lambda: ends(api, "message_too_large") == 1, what="its end")
    line.socket.close()


def test_pings_whose_answers_nobody_reads_are_not_answered_for_ever(
    server: Server, api: Api
) -> None:
    line = opened(server)
    assert line.answer().status == 101
    line.socket.settimeout(2)
    flood = masked(9, b"x" * 125) * 200_000
    with pytest.raises((TimeoutError, ConnectionError)):
        line.send(flood)
    line.socket.close()
    are_gone(api)
    fence(api)


def test_who_says_goodbye_and_reads_nothing_is_not_waited_for(
    server: Server, api: Api
) -> None:
    lines = [opened(server) for _ in range(3)]
    for line in lines:
        assert line.answer().status == 101
    for number in range(30):
        api.publish("big", text="x" * 4_000 + str(number))
    for line in lines:
        line.send(masked(8, b"\x03\xe8"))
    are_gone(api)
    for line in lines:
        wait_for(lambda: is_reset(line), what="the end of the connection")  # noqa: B023  called now
        line.socket.close()
    server.stop()


def is_reset(line: Line) -> bool:
    """Whether the connection is gone, without reading what it holds."""
    return bool(line.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) or (
        not _takes(line)
    )


def _takes(line: Line) -> bool:
    try:
        line.send(masked(10))
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    "headers",
    [{"cookie": "c" * 9_000}, {f"x_{number}": "a" for number in range(200)}],
    ids=["a long one", "many"],
)
def test_a_handshake_with_too_much_of_headers_is_answered(
    server: Server, headers: dict[str, str]
) -> None:
    line = Line(server.port)
    line.send(request("GET", "/api/ws", **UPGRADE | headers))
    answer = line.answer()
    assert (answer.status, answer.code) == (431, "headers_too_large")
    assert answer.headers["content-type"] == "application/json"
    line.close()


def test_a_stream_with_a_body_that_is_too_large_is_refused(
    server: Server, api: Api
) -> None:
    line = Line(server.port)
    line.send(request("GET", "/api/stream", content_length="99999999"))
    answer = line.answer()
    assert (answer.status, answer.code) == (413, "payload_too_large")
    line.close()
    assert listeners(api) == 0


def test_a_refused_subscription_changes_nothing(server: Server, api: Api) -> None:
    ahead = {"type": "subscribe", "entity_id": api.id("a"), "since": 10**6}
    with Socket(server.port).listen() as listener:
        listener.send(ahead)
        assert listener.next("error")["code"] == "since_ahead"
        listener.wait_for_seq(api.publish("b", x=1))  # everything, as before
        listener.subscribe(entity_id=api.id("a"))
        listener.send(ahead)
        assert listener.next("error")["code"] == "since_ahead"
        listener.wait_for_seq(api.publish("a", x=2))
        listener.unsubscribe(entity_id=api.id("a"))


def test_a_replay_that_is_given_up_does_not_claim_its_end(
    server: Server, api: Api
) -> None:
    before = api.head()
    for _ in range(200):
        api.publish("a", text="x" * 10_000)
    listener = Socket(server.port, "?entity_id=nobody", receive_bytes=4096)
    listener.send({"type": "subscribe", "prefix": api.id(""), "since": before})
    listener.send({"type": "unsubscribe", "prefix": api.id("")})
    with listener.listen():
        end = listener.next("replay_end") if is_begun(listener) else None
        told = [one["seq"] for one in listener.of("state_update")]
        assert end is None or end["seq"] < before + 200 or len(told) == 200


def is_begun(listener: Socket) -> bool:
    listener.next("unsubscribed")
    return bool(listener.of("replay_start"))


def test_a_first_subscription_in_the_past_is_told_of_no_deletion_before(
    server: Server, api: Api
) -> None:
    """Its seq would lead who resumes there beyond what is yet to be replayed."""
    for number in range(50):
        before = api.publish("mine/a", n=number)
    for number in range(50):
        api.publish(f"other/{number}", __deleted__=True)
        query = f"?prefix={api.id('mine/')}&since={before - 20}"
        with Socket(server.port, query).listen() as listener:
            listener.next("replay_end")
            kinds = [frame["type"] for frame in listener.said]
            assert kinds[:2] == ["subscribed", "replay_start"]


def test_a_goodbye_that_nobody_reads_does_not_disturb_the_end(
    server: Server, api: Api
) -> None:
    lines = [opened(server) for _ in range(3)]
    for line in lines:
        assert line.answer().status == 101
    for number in range(30):
        api.publish("big", text="x" * 4_000 + str(number))
    with Socket(server.port).listen() as other:
        for line in lines:
            line.send(masked(8, b"\x03\xe8"))
        fence(api, other)
        server.process.terminate()
        assert other.wait_for_end().code == 1012
    server.process.wait(timeout=20)
    assert "Traceback" not in server.log.read_text()
    for line in lines:
        line.socket.close()


def test_a_flood_of_messages_leaves_room_for_others(server: Server, api: Api) -> None:
    """What comes in one go is read in slices; each is answered all the same."""
    many = 20_000
    # Stored once, and a success however often it comes.
    event = b'"stream":"a","source":"b","eventId":"1","payload":%b'
    payload = b'{"entity_id":"flood/a","properties":{}}'
    message = masked(1, b'{"type":"publish","event":{%b}}' % (event % payload))
    with Socket(server.port, "?entity_id=nobody").listen() as flooding:
        flooding.connection.socket.sendall(message * many)
        fence(api)
        flooding.wait(
            lambda: len(flooding.frames) >= many, what="all answers", seconds=60
        )
        assert len(flooding.of("published")) == many
