"""Whatever clients send, there are only so many series (flux_project.metrics)."""

import random
import re
import string
from collections.abc import Callable, Iterator
from http import HTTPMethod
from urllib.parse import quote

import pytest

from tests.support import all_series, scrape
from tests.support.client import Api, HungUp, Line, event, request
from tests.support.live import UPGRADE
from tests.support.servers import Server

StartServer = Callable[..., Server]
# Stands in everything that is made up here.
MARK = "zz9"
METHODS = [*HTTPMethod, "PROPFIND", "PURGE", "MKCOL", "NOTIFY", "nonsense"]
PATHS = [
    "/",
    "/metrics",
    "/{}",
    "/static/{}.css",
    "/admin/",
    "/admin/{}",
    "/admin/{}/{}/",
    "/admin/events/event/{}/change/",
    "/admin/login/",
    "/api/{}",
    "/api/health",
    "/api/health?{}",
    "/api/health/{}",
    "/api/schema",
    "/api/stream?since={}",
    "/api/ws?prefix={}",
    "/api/events",
    "/api/events?entity={}",
    "/api/events?stream={}&source={}&limit={}",
    "/api/events/batch",
    "/api/events/{}",
    "/api/state/entities?namespace={}",
    "/api/state/entities?cursor={}",
    "/api/state/entities/{}",
    "/api/state/entities/{}/{}/{}",
    "/api/state/entities/delete",
    "/api/connectors?{}",
    "/api/connectors/{}",
    "/api/admin/config",
]
BODIES: list[object] = [
    None,
    b"{",
    {},
    {"events": [7, {}]},
    {"prefix": f"{MARK}/"},
    {"entity_ids": []},
    {"rate_limit_enabled": MARK},
]
HOSTS = ["localhost", "{}.example", "127.0.0.1:1"]
ORIGINS = [None, "https://{}.example", "http://localhost:1", "null"]


class Fuzz:
    """Requests of all kinds, each round with other names in them."""

    def __init__(self, api: Api, seed: int) -> None:
        self.api = api
        self.random = random.Random(seed)  # noqa: S311  a plan, no secret
        self.answered = 0

    def name(self) -> str:
        letters = string.printable + "äß€😀"
        made = "".join(self.random.choices(letters, k=self.random.randint(1, 30)))
        return quote(MARK + made, safe="")

    def fill(self, pattern: str) -> str:
        return re.sub(r"{}", lambda _: self.name(), pattern)

    def requests(self) -> Iterator[bytes]:
        """Every method on every path, with whatever else may be in a request."""
        for number, (method, path) in enumerate(
            (method, path) for path in PATHS for method in METHODS
        ):
            yield self._request(method, path, number)
        for path in ("/api/ws", "/api/ws?since={}", "/api/{}", "/{}"):
            for headers in (UPGRADE, UPGRADE | {"origin": "https://x.example"}):
                yield request("GET", self.fill(path), **headers)

    def _request(self, method: str, path: str, number: int) -> bytes:
        headers = {
            "host": self.fill(HOSTS[number % 31 % 3])
            if number % 31 < 3
            else "localhost",
            "x_request_id": self.name()[:60],
            "user_agent": self.name(),
            "authorization": f"Bearer {self.name()}",
            "accept": self.name(),
        }
        origin = ORIGINS[number % 29 % 4] if number % 29 < 4 else None
        if origin is not None:
            headers["origin"] = self.fill(origin)
        body = BODIES[number % len(BODIES)]
        data = None if body is None else str(body).replace("'", '"').encode()
        return request(method, self.fill(path), data, **headers)

    def events(self) -> Iterator[dict[str, object]]:
        for _ in range(50):
            made = self.name()
            yield event(f"{made}/{made}"[:500], {made: 1}, source=made, key=made)

    def run(self) -> None:
        """All of it, over a connection each."""
        for data in self.requests():
            self._send(data)
        self.api.post("/api/events/batch", list(self.events()))
        for _ in range(30):
            self._send(self.random.randbytes(40) + b"\r\n\r\n")

    def _send(self, data: bytes) -> None:
        """An answer's beginning is enough: some have no end."""
        line = Line(self.api.port)
        line.send(data)
        try:
            line._until(b"\r\n\r\n")
            self.answered += 1
        except HungUp:
            pass  # garbage may end in the middle of what could be a request
        finally:
            line.close()


@pytest.fixture(params=["true", "false"], ids=["lane", "plain"])
def api(request: pytest.FixtureRequest, start_server: StartServer) -> Iterator[Api]:
    """Its server is this test's own: nobody else adds a series."""
    client = Api(start_server(FLUX_LANE=request.param).port)
    yield client
    client.close()


def pairs(found: scrape.Scrape) -> set[tuple[str, str]]:
    named = [dict(labels) for _, labels in found.series]
    return {(one["route"], one["method"]) for one in named if "route" in one}


def test_no_client_can_make_a_series(api: Api) -> None:
    Fuzz(api, 1).run()
    before = scrape.of(api)
    again = Fuzz(api, 2)
    again.run()
    assert again.answered > len(METHODS) * len(PATHS)
    after = scrape.of(api)
    assert after.series - before.series == set()
    assert MARK not in after.text
    assert pairs(after) <= all_series.pairs()
    assert len(after.values("route")) > 10
    assert after.values("status") <= set(all_series.STATUSES)
    assert after.values("code") <= set(all_series.codes())
    assert len(after.values("code")) > 10
