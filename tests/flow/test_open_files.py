"""Each connection is an open file, of which the system lets a process have so many."""

import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import psutil
import pytest

from state.watch import RESERVED_FILES
from tests.support.client import Api, Line, request
from tests.support.live import UPGRADE
from tests.support.servers import Server, serve

OPEN_FILES = 200
ROOM = OPEN_FILES - RESERVED_FILES
Start = Callable[[str], Server]


@pytest.fixture
def start(api_database: str) -> Iterator[Start]:
    """`start("ulimit -n 200")` → a server within that."""
    with ExitStack() as started:

        def start_within(within: str) -> Server:
            server = serve(api_database, within=within)
            started.callback(server.stop)
            return server

        yield start_within


def test_a_server_asks_for_all_the_files_it_may_have_open(start: Start) -> None:
    server = start(f"ulimit -S -n {OPEN_FILES}")
    soft, hard = psutil.Process(server.process.pid).rlimit(psutil.RLIMIT_NOFILE)
    assert soft == hard == resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert hard > OPEN_FILES


def test_what_finds_no_room_is_refused_by_name(start: Start) -> None:
    server = start(f"ulimit -n {OPEN_FILES}")
    with ExitStack() as opened, closing(Api(server.port)) as api:
        for number in range(OPEN_FILES + 50):
            line = opened.enter_context(closing(Line(server.port)))
            if number % 2:
                line.send(request("GET", "/api/ws", **UPGRADE))
            else:
                line.send(request("GET", "/api/stream?entity_id=a"))
            if number < ROOM:
                assert line.socket.recv(12)[9:] in {b"101", b"200"}
            else:
                answer = line.answer()
                assert (answer.status, answer.code) == (503, "too_many_connections")
        assert api.get("/api/health").status == 200
        assert api.publish("a", x=1)


def test_too_few_of_them_are_said_once(start: Start) -> None:
    log = start(f"ulimit -n {OPEN_FILES}").log.read_text()
    assert log.count("too_few_open_files") == 1
    (line,) = [line for line in log.splitlines() if "too_few_open_files" in line]
    for number in (OPEN_FILES, 10_000, ROOM):
        assert str(number) in line


def test_enough_of_them_are_not_spoken_of(start: Start) -> None:
    assert "too_few_open_files" not in start("ulimit -S -n 200").log.read_text()
