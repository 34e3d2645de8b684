"""Fixtures of the live feed's tests: a client of each server, and listeners to it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.client import Api
from tests.support.live import Socket, Stream
from tests.support.servers import Server

Listen = Callable[..., Socket]
Follow = Callable[..., Stream]


@pytest.fixture
def api(server: Server) -> Iterator[Api]:
    client = Api(server.port)
    yield client
    client.close()


@pytest.fixture
def listen(server: Server) -> Iterator[Listen]:
    """`listen("?since=7")` → a WebSocket of the server, closed when the test ends."""
    with ExitStack() as opened:

        def open_socket(query: str = "", **headers: str) -> Socket:
            socket = Socket(
                server.port, query, receive_bytes=None, view=None, **headers
            )
            opened.callback(socket.close)
            return socket.listen()

        yield open_socket


@pytest.fixture
def follow(server: Server) -> Iterator[Follow]:
    """The same as a stream of Server-Sent Events."""
    with ExitStack() as opened:

        def open_stream(query: str = "", **headers: str) -> Stream:
            stream = Stream(
                server.port, query, receive_bytes=None, view=None, **headers
            )
            opened.callback(stream.close)
            return stream.listen()

        yield open_stream
