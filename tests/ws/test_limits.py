"""What a connection may do, and how it ends by name when it does more (contract §5)."""

import json
import re
from collections.abc import Callable
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed

from tests.support.client import Api, event
from tests.support.listener import Listener
from tests.support.live import Refused, Socket, Stream, fence, handshake, heard
from tests.support.servers import Server, wait_for

StartServer = Callable[..., Server]
Opening = Callable[..., Listener]
MESSAGES_AT_ONCE = 2_000
STALL_SECONDS = "2"
# No socket's buffers hold so much.
FLOOD_EVENTS = 400
LARGE = "x" * 20_000

every_way = pytest.mark.parametrize("opening", [Socket, Stream])


def ends(api: Api, reason: str) -> int:
    """How many listeners have ended for this reason, as /metrics has it."""
    text = api.get("/metrics").body.decode()
    pattern = rf'^flux_listener_ends_total{{reason="{reason}"}} (\d+)'
    found = re.search(pattern, text, re.MULTILINE)
    return int(found[1]) if found else 0


def flood(api: Api, name: str = "flood") -> int:
    """The seq of the last of many large events about one entity."""
    for start in range(0, FLOOD_EVENTS, 100):
        events = [
            event(api.id(name), {"n": number, "text": LARGE})
            for number in range(start, start + 100)
        ]
        answer = api.post("/api/events/batch", events)
        assert answer.json["successful"] == 100
    seq: int = answer.json["results"][-1]["seq"]
    return seq


def test_there_are_so_many_connections_and_no_more(start_server: StartServer) -> None:
    server = start_server(FLUX_MAX_LISTENERS="2")
    api = Api(server.port)
    with Socket(server.port).listen() as first, Stream(server.port).listen():
        refused = handshake(server.port)
        assert (refused.status, refused.code) == (503, "too_many_connections")
        assert int(refused.headers["retry-after"]) > 0
        with pytest.raises(Refused) as stream:
            Stream(server.port)
        assert stream.value.status == 503
        assert json.loads(stream.value.body)["code"] == "too_many_connections"
        assert api.publish("a", x=1)  # the others are served all the same
        first.close()
        wait_for(lambda: handshake(server.port).status == 101, what="room")
    api.close()


def test_too_many_messages_end_a_connection_alone(start_server: StartServer) -> None:
    server = start_server()
    api = Api(server.port)
    with Socket(server.port).listen() as hasty, Socket(server.port).listen() as other:
        with suppress(ConnectionClosed):
            for _ in range(3 * MESSAGES_AT_ONCE):
                hasty.send("nonsense")
        end = hasty.wait_for_end()
        assert (end.code, end.reason) == (1008, "too_many_messages")
        errors = hasty.of("error")
        assert len(errors) >= MESSAGES_AT_ONCE
        assert {one["code"] for one in errors} == {"invalid_json"}
        fence(api, other)
    wait_for(lambda: ends(api, "too_many_messages") == 1, what="its count")
    api.close()


def test_publishing_nothing_that_can_be_stored_counts_like_any_fault(
    start_server: StartServer,
) -> None:
    server = start_server()
    api = Api(server.port)
    with Socket(server.port).listen() as hasty, Socket(server.port).listen() as other:
        with suppress(ConnectionClosed):
            for ref in range(3 * MESSAGES_AT_ONCE):
                hasty.send({"type": "publish", "ref": ref, "events": [1, {}]})
        end = hasty.wait_for_end()
        assert (end.code, end.reason) == (1008, "too_many_messages")
        answers = hasty.of("published")
        assert [one["ref"] for one in answers] == list(range(len(answers)))
        assert all(result["error"] for one in answers for result in one["results"])
        fence(api, other)
    api.close()


def test_what_is_published_does_not_count_as_messages(
    start_server: StartServer,
) -> None:
    """Nor does it with bad items beside a good one."""
    server = start_server()
    with Socket(server.port, "?entity_id=never/there").listen() as socket:
        many = MESSAGES_AT_ONCE + 500
        for ref in range(many):
            one = event("busy/a", {"n": ref})
            socket.send({"type": "publish", "ref": ref, "events": [one, 1]})
        socket.wait(lambda: len(socket.of("published")) == many, what="all of them")
        refs = [frame["ref"] for frame in socket.of("published")]
        assert refs == list(range(many))


@pytest.mark.parametrize(
    ("sent", "code", "reason"),
    [
        (b"\x81\xfe\xff\xff", None, None),  # the beginning of a frame is no fault
        (b"\x83\x80\x00\x00\x00\x00", 1002, "protocol_error"),
        (b"\x81\x00", 1002, "protocol_error"),  # not masked
        (b"\x81\xff" + b"\x7f" * 8, 1009, "message_too_large"),
    ],
)
def test_what_is_no_websocket_ends_it_by_name(
    start_server: StartServer, sent: bytes, code: int | None, reason: str | None
) -> None:
    server = start_server()
    api = Api(server.port)
    with Socket(server.port).listen() as socket:
        socket.connection.socket.sendall(sent)
        if code is None or reason is None:
            fence(api, socket)
        else:
            assert socket.wait_for_end().code == code
            wait_for(lambda: ends(api, reason) == 1, what="its count")
    api.close()


@every_way
def test_who_takes_nothing_is_ended_and_counted(
    start_server: StartServer, opening: Opening
) -> None:
    server = start_server(FLUX_STALL_SECONDS=STALL_SECONDS)
    api = Api(server.port)
    deaf, other = (
        opening(server.port, f"?prefix={api.id('')}", receive_bytes=size)
        for size in (4096, None)
    )
    with other.listen():
        last = flood(api)
        wait_for(lambda: ends(api, "stalled") == 1, what="the end of who takes nothing")
        other.wait_for_seq(last)
        assert len(heard(other)) == 2 * FLOOD_EVENTS
        assert not other.of("conflated")
        fence(api, other)
    deaf.listen().wait_for_end()  # what its own buffers held, and then the end
    deaf.close()
    api.close()


@every_way
def test_who_reads_too_slowly_gets_the_newest_values(
    start_server: StartServer, opening: Opening
) -> None:
    server = start_server()
    api = Api(server.port)
    slow = opening(server.port, f"?prefix={api.id('')}", receive_bytes=4096)
    with slow:
        flood(api)
        api.publish("gone", x=1)
        api.publish("gone", __deleted__=True)
        api.post(
            "/api/events",
            event("", payload={"entity_id": api.id("flood"), "properties": {},
                               "unset": ["n"]}),
        )  # fmt: skip
        outlast_patience(api)
        slow.listen()
        last = fence(api)
        slow.wait(lambda: slow.frames[-1].get("seq") == last, what="the fence itself")
        assert slow.account.faults == []
        assert slow.of("conflated"), "it was told each event"
        for frame in slow.of("conflated"):
            assert frame["from_seq"] <= frame["to_seq"] <= last
        assert len(heard(slow)) < FLOOD_EVENTS
        assert slow.view.entities() == {api.id("flood"): {"text": LARGE}}
    assert conflations(api) > 0
    api.close()


def conflations(api: Api) -> int:
    text = api.get("/metrics").body.decode()
    found = re.search(r"^flux_conflations_total (\d+)", text, re.MULTILINE)
    return int(found[1]) if found else 0


def outlast_patience(api: Api) -> None:
    """Waits until who is behind has been so for longer than the server lets pass."""
    with Socket(api.port, "?entity_id=never/there").listen() as clock:
        for _ in range(3):
            clock.next("metrics_update")  # one comes every two seconds


@every_way
def test_a_server_that_ends_says_so(
    start_server: StartServer, opening: Opening
) -> None:
    server = start_server()
    with opening(server.port, "?entity_id=a").listen() as listener:
        listener.next("subscribed")
        server.process.terminate()
        end = listener.wait_for_end()
        assert end.code == (1012 if opening is Socket else 1000)
        if opening is Stream:
            assert listener.frames[-1]["code"] == "shutting_down"
        server.process.wait(timeout=20)
