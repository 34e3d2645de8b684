"""The lane's own seams: its timers, its faults, its budget, on a loop of the test."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.server import ServerState

from events import committer, endpoints
from flux_project import bodies, wire
from flux_project.lane import LaneProtocol
from flux_project.reply import Reply, Write, ok
from flux_project.wire import PatientProtocol
from tests.support.client import request
from tests.support.live import UPGRADE

SECONDS = 20
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Any]


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body and says how long it was."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    text = b"%d" % size
    headers = [(b"content-length", b"%d" % len(text))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


@asynccontextmanager
async def _serving(
    protocol: type[PatientProtocol], **changes: object
) -> AsyncIterator[Connect]:
    config = uvicorn.Config(_app, http=protocol, lifespan="off", log_config=None)
    config.load()
    for name, value in changes.items():
        setattr(config, name, value)
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: protocol(config=config, server_state=state, app_state={}),
        "127.0.0.1",
        0,
    )
    port = server.sockets[0].getsockname()[1]
    writers: list[asyncio.StreamWriter] = []

    async def connect() -> Stream:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        return reader, writer

    try:
        yield connect
    finally:
        for writer in writers:
            writer.close()
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0.05)


async def _rest(reader: asyncio.StreamReader) -> bytes:
    """Everything until the server ends the connection."""
    async with asyncio.timeout(SECONDS):
        return await reader.read()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    async with asyncio.timeout(SECONDS):
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        body = await reader.readexactly(int(length[1]) if length else 0)
    return int(head.split()[1]), body


async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(SECONDS * 100):
        if condition():
            return
        await asyncio.sleep(0.01)
    message = "still waiting"
    raise TimeoutError(message)


@pytest.fixture(params=[PatientProtocol, LaneProtocol])
def protocol(request: pytest.FixtureRequest) -> type[PatientProtocol]:
    found: type[PatientProtocol] = request.param
    return found


async def test_a_connection_that_says_nothing_is_ended(
    protocol: type[PatientProtocol], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "HEAD_SECONDS", 0.1)
    async with _serving(protocol) as connect:
        reader, _ = await connect()
        assert await _rest(reader) == b""


async def test_an_idle_connection_is_ended_but_none_that_is_used(
    protocol: type[PatientProtocol],
) -> None:
    async with _serving(protocol, timeout_keep_alive=0.4) as connect:
        reader, writer = await connect()
        for _ in range(4):
            writer.write(request("POST", "/elsewhere", b""))
            assert await _answer(reader) == (200, b"0")
            await asyncio.sleep(0.25)
        writer.write(request("POST", "/elsewhere", b"12")[:-1])
        await asyncio.sleep(0.6)
        writer.write(b"2")
        assert await _answer(reader) == (200, b"2"), "half a request is not idle"
        assert await _rest(reader) == b""


class _WebSocket:
    """Says what it is given, and takes no part in HTTP's time."""

    def __init__(self, **_: object) -> None:
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(b"taken " + data[:4])

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing to give back."""

    def eof_received(self) -> None:
        """The transport closes."""


async def test_an_upgraded_connection_is_no_longer_under_the_clock(
    protocol: type[PatientProtocol], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "BODY_SECONDS", 0.2)
    changes = {"timeout_keep_alive": 0.2, "ws_protocol_class": _WebSocket}
    async with _serving(protocol, **changes) as connect:
        reader, writer = await connect()
        writer.write(request("POST", "/elsewhere", b""))
        assert await _answer(reader) == (200, b"0")
        writer.write(request("GET", "/api/ws", None, **UPGRADE))
        assert await reader.readexactly(10) == b"taken GET "
        await asyncio.sleep(0.6)
        writer.write(b"more")
        assert await reader.readexactly(10) == b"taken more"


async def test_a_head_that_does_not_end_in_time_is_a_408(
    protocol: type[PatientProtocol], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "HEAD_SECONDS", 0.2)
    async with _serving(protocol) as connect:
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        for _ in range(3):  # a byte now and then is no excuse
            await asyncio.sleep(0.05)
            writer.write(b"A")
        status, body = await _answer(reader)
        assert (status, json.loads(body)["code"]) == (408, "request_timeout")
        assert await _rest(reader) == b""


@pytest.mark.parametrize("path", ["/api/events", "/elsewhere"])
async def test_a_body_that_does_not_end_in_time_is_a_408(
    protocol: type[PatientProtocol], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(wire, "BODY_SECONDS", 0.2)
    async with _serving(protocol) as connect:
        reader, writer = await connect()
        writer.write(request("POST", path, b"12345")[:-1])
        status, body = await _answer(reader)
        assert (status, json.loads(body)["code"]) == (408, "request_timeout")
        assert await _rest(reader) == b""
    assert bodies.budget.held == 0


async def test_a_quiet_connection_is_kept_after_an_answer(
    protocol: type[PatientProtocol], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "HEAD_SECONDS", 0.1)
    monkeypatch.setattr(wire, "BODY_SECONDS", 0.1)
    async with _serving(protocol) as connect:
        reader, writer = await connect()
        for path in ("/api/events", "/elsewhere"):
            writer.write(request("POST", path, b"{}"))
            await _answer(reader)
            await asyncio.sleep(0.3)
        writer.write(request("POST", "/elsewhere", b"123"))
        assert await _answer(reader) == (200, b"3")


async def test_the_rest_of_a_refused_body_has_its_time_too_and_no_second_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire, "BODY_SECONDS", 0.3)
    async with _serving(LaneProtocol) as connect:
        reader, writer = await connect()
        endless = b"%x\r\n%b" % (1 << 40, b" " * (2 << 20))
        writer.write(
            request("POST", "/api/events", endless, transfer_encoding="chunked")
        )
        status, body = await _answer(reader)
        assert (status, json.loads(body)["code"]) == (413, "payload_too_large")
        assert await _rest(reader) == b""
    assert bodies.budget.held == 0


async def test_a_bug_on_the_lane_is_a_500_and_the_connection_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def bug(_: bytes) -> Reply:
        message = "the bug"
        raise RuntimeError(message)

    monkeypatch.setattr(endpoints, "publish", bug)
    monkeypatch.setattr(endpoints, "publish_batch", bug)
    async with _serving(LaneProtocol) as connect:
        reader, writer = await connect()
        for path, size in (("/api/events", 2), ("/api/events/batch", 1 << 20)):
            writer.write(request("POST", path, b" " * size))
            status, body = await _answer(reader)
            assert (status, json.loads(body)["code"]) == (500, "internal_error")
            assert b"the bug" not in body
        writer.write(request("POST", "/elsewhere", b""))
        assert await _answer(reader) == (200, b"0")


async def test_a_bug_in_making_an_answer_is_a_500_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def render(_: object) -> Reply:
        message = "the bug"
        raise RuntimeError(message)

    def submit(
        _: object, __: object, answer: Callable[[Any], None], **___: object
    ) -> None:
        answer([])

    write = Write([], 0, render)
    monkeypatch.setattr(endpoints, "publish", lambda _: write)
    monkeypatch.setattr(committer, "submit", submit)
    async with _serving(LaneProtocol) as connect:
        reader, writer = await connect()
        writer.write(request("POST", "/api/events", b"{}"))
        status, _ = await _answer(reader)
        assert status == 500


async def test_what_waits_behind_a_request_on_the_lane_is_answered_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting: list[Callable[[Any], None]] = []

    def submit(
        _: object, __: object, answer: Callable[[Any], None], **___: object
    ) -> None:
        waiting.append(answer)

    write = Write([], 0, lambda _: ok("first"))
    monkeypatch.setattr(endpoints, "publish", lambda _: write)
    monkeypatch.setattr(committer, "submit", submit)
    async with _serving(LaneProtocol) as connect:
        reader, writer = await connect()
        writer.write(request("POST", "/api/events", b"{}"))
        writer.write(request("POST", "/elsewhere", b"12") * 3)
        await _until(lambda: bool(waiting))
        await asyncio.sleep(0.1)  # time enough for a wrong answer
        waiting[0]([])
        assert await _answer(reader) == (200, b'"first"')
        for _ in range(3):
            assert await _answer(reader) == (200, b"2")
        writer.write(request("POST", "/elsewhere", b"1"))
        assert await _answer(reader) == (200, b"1")


class _Transport:
    """Only says whether it is read from."""

    def __init__(self) -> None:
        self.is_read = True

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True


async def test_a_drained_answer_lets_in_no_request_while_others_wait() -> None:
    config = uvicorn.Config(_app, lifespan="off", log_config=None)
    config.load()
    made = LaneProtocol(config=config, server_state=ServerState(), app_state={})
    transport: Any = _Transport()
    made.flow = FlowControl(transport)
    waiting: Any = (None, None)
    made.pipeline.append(waiting)
    made.flow.pause_reading()
    made.pause_writing()
    made.resume_writing()
    assert not transport.is_read
    made.pipeline.clear()
    made.pause_writing()
    made.resume_writing()
    assert transport.is_read


async def test_whoever_vanishes_gives_back_what_was_granted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with _serving(LaneProtocol) as connect:
        _, writer = await connect()
        writer.write(request("POST", "/api/events", b" " * 50_000)[:-1])
        await _until(lambda: bodies.budget.held > 0)
        writer.transport.abort()
        await _until(lambda: bodies.budget.held == 0)


async def test_whoever_vanishes_with_requests_waiting_leaves_no_fault_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    waiting: list[Callable[[Any], None]] = []

    def submit(
        _: object, __: object, answer: Callable[[Any], None], **___: object
    ) -> None:
        waiting.append(answer)

    write = Write([], 0, lambda _: ok("first"))
    monkeypatch.setattr(endpoints, "publish", lambda _: write)
    monkeypatch.setattr(committer, "submit", submit)
    async with _serving(LaneProtocol) as connect:
        _, writer = await connect()
        writer.write(request("POST", "/api/events", b"{}"))
        writer.write(request("POST", "/elsewhere", b"12") * 3)
        await _until(lambda: bool(waiting))
        writer.transport.abort()
        await asyncio.sleep(0.1)
        waiting[0]([])
        await asyncio.sleep(0.1)
    assert not [found for found in caplog.records if found.levelno > logging.INFO]


async def test_a_process_that_holds_too_much_refuses_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bodies.budget, "most", 1_000)
    async with _serving(LaneProtocol) as connect:
        reader, writer = await connect()
        writer.write(request("POST", "/api/events", b" " * 1_001))
        status, body = await _answer(reader)
        assert (status, json.loads(body)["code"]) == (503, "overloaded")
    assert bodies.budget.held == 0
