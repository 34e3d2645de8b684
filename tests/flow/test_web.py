"""One web worker process, as the `server` fixture starts it."""

from collections.abc import Callable
from urllib.request import urlopen

import psutil

from tests.support.servers import Server, wait_for


def test_it_answers_with_the_lane_and_without(server: Server) -> None:
    with urlopen(f"{server.base_url}/api/health", timeout=10) as answer:  # noqa: S310
        assert answer.status == 200


def test_sigterm_ends_it(start_server: Callable[..., Server]) -> None:
    server = start_server()
    server.process.terminate()
    wait_for(lambda: server.process.poll() is not None, what="its end")


def test_it_serves_one_address_alone(start_server: Callable[..., Server]) -> None:
    server = start_server()
    listening = [
        (one.laddr.ip, one.laddr.port)
        for one in psutil.Process(server.process.pid).net_connections(kind="inet")
        if one.status == psutil.CONN_LISTEN
    ]
    assert listening == [("127.0.0.1", server.port)]
