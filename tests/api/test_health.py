"""Health watches the live feed as well as the database (contract §9)."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from types import SimpleNamespace

import pytest
from django.test import Client

from state import feed as feeds
from state.feed import Feed
from state.pace import LATE_SECONDS
from tests.support import ledger
from tests.support import proxy as proxies
from tests.support.client import Api
from tests.support.live import Socket, Stream
from tests.support.proxy import Proxy
from tests.support.servers import Server, wait_for

StartServer = Callable[..., Server]
HEALTH = "/api/health"
SECONDS = 30.0
FEED = "flux feed"


@pytest.fixture
def proxy(api_database: str) -> Iterator[Proxy]:
    with proxies.running(api_database) as running:
        yield running


@pytest.fixture
def api(proxy: Proxy, start_server: StartServer) -> Iterator[Api]:
    """Its server reaches the database through the proxy."""
    client = Api(start_server(DATABASE_URL=proxy.url).port)
    yield client
    client.close()


def cut_off(proxy: Proxy) -> None:
    """The feeds lose their connections and get no others; nobody else does."""
    proxy.refused = FEED
    with ledger.at(proxy.database) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = %s AND datname = current_database()",
            (FEED,),
        )


def until(api: Api, status: int) -> None:
    what = f"{status} from {HEALTH}"
    wait_for(lambda: api.get(HEALTH).status == status, what=what, seconds=SECONDS)


def test_without_its_feed_a_server_is_not_healthy_until_it_has_it_again(
    api: Api, proxy: Proxy
) -> None:
    api.publish("a", x=0)
    assert api.get(HEALTH).status == 200
    with closing(Socket(api.port).listen()) as socket:
        cut_off(proxy)
        until(api, 503)
        answer = api.get(HEALTH)
        assert answer.code == "feed_unavailable"
        assert int(answer.headers["retry-after"]) > 0
        head = api.publish("a", x=1)  # the rest goes on
        assert api.entity("a").json["seq"] == head
        assert socket.end is None
        proxy.refused = None
        until(api, 200)
        assert api.get(HEALTH).json["seq"] == head
        socket.wait_for_seq(api.publish("a", x=2))
        told = [one["value"] for one in socket.about(api.id("a"))]
        assert told == [1, 2]


def test_the_first_page_says_it_in_words(api: Api, proxy: Proxy) -> None:
    assert b"late" not in api.get("/").body
    cut_off(proxy)
    until(api, 503)
    answer = api.get("/")
    assert answer.status == 503
    assert answer.headers["retry-after"] == answer.headers["refresh"] == "10"
    assert b"Live updates are late" in answer.body
    assert b"</span>Working<" not in answer.body
    assert b"<dt>Events</dt>" in answer.body
    proxy.refused = None
    until(api, 200)
    assert api.get("/").status == 200


def test_while_the_database_is_away_that_is_what_it_says(
    api: Api, proxy: Proxy
) -> None:
    proxy.is_closed = True
    cut_off(proxy)
    with ledger.at(proxy.database) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'flux %' AND datname = current_database()"
        )
    feed_is_late = time.monotonic() + LATE_SECONDS + 1
    while time.monotonic() < feed_is_late:
        answer = api.get(HEALTH)
        assert (answer.status, answer.code) == (503, "database_unavailable")
        time.sleep(0.2)
    proxy.is_closed, proxy.refused = False, None
    until(api, 200)


def test_a_feed_under_load_is_healthy(api: Api) -> None:
    with Stream(api.port, "?entity_id=never/there").listen():
        for _ in range(60):
            events = [
                {
                    "stream": "tests",
                    "source": "pytest",
                    "payload": {"entity_id": api.id("a"), "properties": {"n": number}},
                }
                for number in range(200)
            ]
            assert api.post("/api/events/batch", events).json["successful"] == 200
            assert api.get(HEALTH).status == 200


def test_a_feed_that_was_never_started_is_no_fault(database: None) -> None:
    """As under a server without a lifespan, before its first request."""
    assert feeds._feeds == {}
    assert Client().get(HEALTH).status_code == 200


def test_one_late_feed_of_a_process_is_enough(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def standing(*, is_late: bool) -> Feed:
        return SimpleNamespace(pace=SimpleNamespace(is_late=is_late))  # type: ignore[return-value]  # as far as it is used

    loops = [object(), object()]
    some = {loops[0]: standing(is_late=False), loops[1]: standing(is_late=True)}
    monkeypatch.setattr(feeds, "_feeds", some)
    answer = Client().get(HEALTH)
    assert (answer.status_code, answer.json()["code"]) == (503, "feed_unavailable")
    monkeypatch.setattr(feeds, "_feeds", {loops[0]: some[loops[0]]})
    assert Client().get(HEALTH).status_code == 200
