"""Connections as clients really use them: in pieces, in heaps, slowly, not to the end.

All of it holds on the lane and without it; only the lane's own seams are tested in
`test_lane_parts.py`.
"""

import select
import signal
import time
from collections.abc import Callable

import psutil
import pytest

from tests.support.client import Answer, Api, HungUp, Line, event, request
from tests.support.servers import Server, wait_for

ENTITIES = "/api/state/entities/"
MIB = 1 << 20


def _body(api: Api, name: str, *, v: int = 0) -> bytes:
    return (
        b'{"stream":"s","source":"s","payload":{"entity_id":"%b","properties":{"v":%d}}}'
        % (api.id(name).encode(), v)
    )


def _chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


def _asked(api: Api, *data: bytes, answers: int = 1) -> list[Answer]:
    line = Line(api.port)
    for piece in data:
        line.send(piece)
    found = [line.answer() for _ in range(answers)]
    line.close()
    return found


def _bytes(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def test_a_request_may_arrive_byte_by_byte(api: Api) -> None:
    data = request("POST", "/api/events", _body(api, "a", v=7))
    (answer,) = _asked(api, *_bytes(data))
    assert answer.status == 200
    assert api.entity("a").json["properties"] == {"v": 7}


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_body_may_come_in_chunks_of_any_size(api: Api, size: int) -> None:
    body = _body(api, "a", v=size)
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    data = _chunked(*parts) + b"0\r\n\r\n"
    (answer,) = _asked(
        api, request("POST", "/api/events", data, transfer_encoding="chunked")
    )
    assert answer.status == 200
    assert api.entity("a").json["properties"] == {"v": size}


def test_chunks_may_have_extensions_and_trailers(api: Api) -> None:
    body = _body(api, "a")
    data = b"%x;a=b\r\n%b\r\n0\r\nX-Trailer: 1\r\n\r\n" % (len(body), body)
    head = request("POST", "/api/events", data, transfer_encoding="chunked")
    after = request("GET", ENTITIES + api.id("a"))
    published, read = _asked(api, head + after, answers=2)
    assert (published.status, read.status) == (200, 200)


@pytest.mark.parametrize("path", ["/api/events", "/api/events/batch"])
def test_an_endless_body_is_refused_before_it_ends_and_never_held(
    server: Server, api: Api, path: str
) -> None:
    process = psutil.Process(server.process.pid)
    api.publish("warm", text="x" * 900_000)
    before = process.memory_info().rss
    line = Line(server.port)
    line.send(request("POST", path, b"", transfer_encoding="chunked"))
    chunk = _chunked(b" " * 65_536)
    sent = 0
    while not select.select([line.socket], [], [], 0)[0]:
        line.send(chunk)
        sent += 65_536
        assert sent < 200 * MIB
    for _ in range(800):  # 50 MiB more, thrown away as they come
        line.send(chunk)
    line.send(b"0\r\n\r\n" + request("GET", ENTITIES + api.id("warm")))
    refused = line.answer()
    assert (refused.status, refused.code) == (413, "payload_too_large")
    assert line.answer().status == 200
    line.close()
    assert process.memory_info().rss - before < 48 * MIB


def test_requests_sent_in_one_heap_are_answered_in_their_order(api: Api) -> None:
    api.publish("a", v=0)
    heap = b""
    for number in range(1, 31):
        heap += request("POST", "/api/events", _body(api, "a", v=number))
        heap += request("GET", ENTITIES + api.id("a"))
        heap += request("GET", f"/api/state/entities?prefix={api.id('a')}")
        heap += request("GET", "/api/nothing")
    line = Line(api.port)
    line.send(heap)
    for number in range(1, 31):
        assert line.answer().json["stream"] == "s"
        assert line.answer().json["properties"] == {"v": number}
        assert line.answer().json[0]["properties"] == {"v": number}
        assert line.answer().status == 404
    line.close()


def test_many_small_requests_in_one_heap_are_no_large_head(api: Api) -> None:
    api.publish("a", v=1)
    count = 1_000
    line = Line(api.port)
    heap = request("GET", ENTITIES + api.id("a")) * count
    sent = 0
    answered = 0
    line.socket.setblocking(False)
    deadline = time.monotonic() + 60
    while answered < count and time.monotonic() < deadline:
        readable, writable, _ = select.select(
            [line.socket], [line.socket] if sent < len(heap) else [], [], 1
        )
        if writable:
            sent += line.socket.send(heap[sent : sent + 65_536])
        if readable:
            line.buffer += line.socket.recv(1 << 20)
            *whole, line.buffer = line.buffer.split(b'"seq":')
            answered += len(whole)
    assert answered == count
    line.close()


def test_answers_that_nobody_reads_are_not_heaped_up(server: Server, api: Api) -> None:
    api.publish("big", text="x" * 900_000)
    assert api.entity("big").status == 200
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    line = Line(server.port, receive_bytes=4096)
    line.socket.setblocking(False)
    heap = request("GET", ENTITIES + api.id("big")) * 50
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        if select.select([], [line.socket], [], 0.2)[1]:
            line.socket.send(heap)
    # Asked for, and never read: 900 kB for each of thousands of requests.
    assert process.memory_info().rss - before < 100 * MIB
    assert api.entity("big").status == 200
    line.vanish()


def test_a_connection_serves_many_requests_of_all_kinds(api: Api) -> None:
    line = Line(api.port)
    for number in range(20):
        line.send(request("POST", "/api/events", _body(api, "a", v=number)))
        assert line.answer().status == 200
        line.send(request("GET", ENTITIES + api.id("a")))
        assert line.answer().json["version"] == number + 1
        line.send(request("GET", "/api/health"))
        assert line.answer().status == 200
        line.send(request("POST", "/api/events", b"{"))
        assert line.answer().status == 400
    line.close()


@pytest.mark.parametrize("path", [ENTITIES + "none", "/api/nothing"])
def test_connection_close_is_respected(api: Api, path: str) -> None:
    line = Line(api.port)
    line.send(request("GET", path, connection="close"))
    answer = line.answer()
    assert (answer.status, answer.headers["connection"]) == (404, "close")
    assert line.is_over()
    line.close()


def test_http_1_0_may_publish_and_the_connection_ends(api: Api) -> None:
    data = request("POST", "/api/events", _body(api, "a")).replace(b"1.1", b"1.0", 1)
    line = Line(api.port)
    line.send(data)
    assert line.answer().status == 200
    assert line.is_over()
    line.close()
    assert api.entity("a").status == 200


@pytest.mark.parametrize("path", ["/api/events", "/api/events/batch"])
def test_a_body_that_says_that_it_is_too_large_is_not_waited_for(
    api: Api, path: str
) -> None:
    (answer,) = _asked(api, request("POST", path, None, content_length=str(1 << 40)))
    assert (answer.status, answer.code) == (413, "payload_too_large")


def test_a_client_that_expects_to_be_asked_is_asked(api: Api) -> None:
    body = _body(api, "a")
    line = Line(api.port)
    whole = request("POST", "/api/events", body, expect="100-continue")
    line.send(whole.removesuffix(body))
    assert line.answer().status == 100
    line.send(body)
    assert line.answer().status == 200
    line.close()


def test_a_client_that_asks_first_does_not_send_too_much(api: Api) -> None:
    head = request(
        "POST", "/api/events", None, content_length=str(2 * MIB), expect="100-continue"
    )
    (answer,) = _asked(api, head)
    assert (answer.status, answer.code) == (413, "payload_too_large")


def test_a_client_that_vanishes_within_its_body_stores_nothing(api: Api) -> None:
    before = api.head()
    body = _body(api, "a")
    for cut in (0, 1, len(body) // 2, len(body) - 1):
        for leave in (Line.close, Line.vanish):
            line = Line(api.port)
            line.send(request("POST", "/api/events", body).removesuffix(body))
            line.send(body[:cut])
            leave(line)
    assert api.head() == before


def test_a_client_that_vanishes_before_its_answer_harms_nobody(api: Api) -> None:
    for number in range(20):
        line = Line(api.port)
        line.send(request("POST", "/api/events", _body(api, "a", v=number)))
        line.send(request("GET", ENTITIES + api.id("a")))
        line.send(request("GET", f"/api/state/entities?namespace={api.space}"))
        line.vanish()
    assert api.publish("b") == api.entity("b").json["seq"]


def test_nonsense_behind_a_request_does_not_take_its_answer(api: Api) -> None:
    for path in ("/api/events", "/api/events?"):
        line = Line(api.port)
        line.send(request("POST", path, _body(api, "a")) + b"\x00nonsense\r\n\r\n")
        answer = line.answer()
        assert answer.status == 200
        assert answer.json["seq"] == api.entity("a").json["seq"]
        with pytest.raises(HungUp):
            line.answer()
        line.close()


def test_an_upgrade_to_what_is_not_spoken_is_answered_as_if_not_asked(api: Api) -> None:
    api.publish("a")
    (answer,) = _asked(
        api,
        request("GET", ENTITIES + api.id("a"), upgrade="h2c", connection="Upgrade"),
    )
    assert answer.status == 200


def test_an_absolute_address_is_the_same_address(api: Api) -> None:
    api.publish("a", v=1)
    address = f"http://localhost{ENTITIES}{api.id('a')}"
    (answer,) = _asked(api, request("GET", address))
    assert answer.json["properties"] == {"v": 1}


def test_a_server_that_is_stopped_finishes_what_it_began(
    server: Server, api: Api, start_server: Callable[..., Server]
) -> None:
    stopping = start_server(FLUX_LANE="true" if server.lane else "false")
    body = _body(api, "a", v=5)
    idle, line = Line(stopping.port), Line(stopping.port)
    idle.send(request("GET", ENTITIES + "none"))
    assert idle.answer().status == 404
    line.send(request("POST", "/api/events", body)[:-1])
    time.sleep(0.1)  # so that the head has arrived
    stopping.process.terminate()
    wait_for(lambda: _refuses(stopping.port), what="no new connections", seconds=10)
    assert idle.is_over()
    line.send(body[-1:])
    answer = line.answer()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert line.is_over()
    line.close()
    idle.close()
    assert stopping.process.wait(timeout=10) in {0, -signal.SIGTERM}
    assert api.entity("a").json["properties"] == {"v": 5}


def _refuses(port: int) -> bool:
    try:
        Line(port).close()
    except ConnectionRefusedError:
        return True
    return False


def test_events_of_many_connections_are_each_stored_once(api: Api) -> None:
    before = api.head()
    lines = [Line(api.port) for _ in range(50)]
    for turn in range(5):
        for number, line in enumerate(lines):
            line.send(request("POST", "/api/events", _body(api, f"{number}", v=turn)))
        seqs = {line.answer().json["seq"] for line in lines}
        first = before + 50 * turn + 1
        assert seqs == set(range(first, first + 50))
    for line in lines:
        line.close()
    assert api.post("/api/events", event(api.id("0"))).json["seq"] == before + 251
