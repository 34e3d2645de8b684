"""`GET /metrics`: what was done is what the counters moved by (docs/operations.md).

The servers of these tests have one process, so a scrape is exact at once.
"""

import time
from collections.abc import Callable

import pytest
from prometheus_client.openmetrics import parser as openmetrics

from tests.support import proxy as proxies
from tests.support import scrape
from tests.support.client import ADMIN_HEADER, Api, Line, event, request
from tests.support.live import handshake
from tests.support.scrape import Moved
from tests.support.servers import Server

StartServer = Callable[..., Server]
TOKEN = "a-token-that-no-line-may-hold"
SLOW_SECONDS = 1.0
SCRAPED = ("GET", "/metrics", "2xx")
ACCEPTED = [
    "",
    "*/*",
    "text/plain;version=0.0.4",
    "text/plain; version=1.0.0; escaping=allow-utf-8",
    "text/plain;version=nonsense",
    "text/html",
    "\xff;=,;q",
]
OPEN = [
    "application/openmetrics-text",
    "application/openmetrics-text;version=1.0.0;charset=utf-8",
    "application/openmetrics-text;version=0.0.1,text/plain;q=0.1",
    "application/openmetrics-text; version=nonsense",
    "application/openmetrics-text; version=99999.\xff",
]


@pytest.mark.parametrize("accept", ACCEPTED)
def test_it_is_the_text_that_prometheus_reads(api: Api, accept: str) -> None:
    answer = api.get("/metrics", accept=accept)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert len(scrape.read(answer).series) > 50


@pytest.mark.parametrize("accept", OPEN)
def test_it_is_openmetrics_for_who_asks_for_that(api: Api, accept: str) -> None:
    answer = api.get("/metrics", accept=accept)
    assert answer.status == 200
    kind = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert answer.headers["content-type"] == kind
    text = answer.body.decode()
    families = list(openmetrics.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]  # it has no types
    assert {one.name for one in families} >= {"flux_events_committed", "flux_listeners"}
    assert all(one.documentation for one in families)


def commits(moved: Moved) -> float:
    """How many there were; the ways of counting them agree."""
    for path in ("loop", "careful"):
        counted = moved.total("commits_total", path=path)
        assert moved.total("commit_seconds_count", path=path) == counted
    return moved.total("commits_total")


def test_each_event_on_its_own_is_a_commit_of_one(api: Api) -> None:
    with Moved(api) as moved:
        for number in range(12):
            api.publish("a", n=number)
    assert moved.total("events_committed_total") == 12
    assert commits(moved) == 12
    assert moved.total("commit_events_count") == 12
    assert moved.total("commit_events_sum") == 12
    assert moved.total("commit_events_bucket", le="1.0") == 12
    assert moved.total("commit_seconds_sum") > 0


def test_a_batch_is_one_commit_of_what_is_good_in_it(api: Api) -> None:
    good = [event(api.id("a"), {"n": number}) for number in range(25)]
    with Moved(api) as moved:
        answer = api.post("/api/events/batch", [*good, {}, 7, event("")])
    assert (answer.json["successful"], answer.json["failed"]) == (25, 3)
    assert moved.total("events_committed_total") == 25
    assert commits(moved) == 1
    assert moved.total("commit_events_sum") == 25
    assert moved.total("commit_events_bucket", le="20.0") == 0
    assert moved.total("commit_events_bucket", le="50.0") == 1
    assert moved.all("http_requests_total") == {
        ("POST", "/api/events/batch", "2xx"): 1,
        SCRAPED: 1,
    }


def test_what_adds_nothing_to_the_log_is_no_event(api: Api) -> None:
    one = event(api.id("a"), eventId=api.id("known"))
    api.post("/api/events", one)
    with Moved(api) as moved:
        assert api.post("/api/events", one).json["duplicate"] is True
        path = f"/api/state/entities/{api.id('none')}"
        assert api.ask("DELETE", path).status == 404
    assert moved.total("events_committed_total") == 0
    assert moved.total("commit_events_count") == 0


def test_a_delete_is_an_event_for_each_entity(api: Api) -> None:
    for number in range(7):
        api.publish(f"a{number}")
    with Moved(api) as moved:
        api.ask("DELETE", f"/api/state/entities/{api.id('a0')}")
        api.post("/api/state/entities/delete", {"prefix": api.id("a")})
    assert moved.total("events_committed_total") == 7
    assert commits(moved) == 2


def test_a_refusal_counts_under_its_code(api: Api) -> None:
    api.publish("a")
    path = f"/api/state/entities/{api.id('a')}"
    tag = api.get(path).headers["etag"]
    with Moved(api) as moved:
        for _ in range(3):
            api.post("/api/events", b"no JSON")
        for _ in range(2):
            api.post("/api/events", {})
        api.post("/api/events/batch", [])
        api.entity("none")
        api.get("/api/nowhere")
        api.ask("PUT", "/api/events")
        api.post("/api/events", event("flux-core/x"))
        api.get("/api/health", origin="https://evil.example")
        assert api.get(path).status == 200
        assert api.get(path, if_none_match=tag).status == 304
    assert moved.all("errors_total") == {
        ("invalid_json",): 3,
        ("invalid_event",): 3,
        ("entity_not_found",): 1,
        ("unknown_route",): 1,
        ("method_not_allowed",): 1,
        ("reserved_namespace",): 1,
        ("origin_not_allowed",): 1,
    }


def test_what_is_no_http_counts_under_its_code(api: Api) -> None:
    with Moved(api) as moved:
        for data in (b"garbage\r\n\r\n", request("GET", "/", x="y" * 70_000)):
            line = Line(api.port)
            line.send(data)
            assert line.answer().status in {400, 431}
            line.close()
    assert moved.all("errors_total") == {
        ("invalid_http",): 1,
        ("headers_too_large",): 1,
    }


def test_a_handshake_counts_as_a_request(api: Api) -> None:
    with Moved(api) as moved:
        assert handshake(api.port).status == 101
        assert handshake(api.port, "?since=x").status == 400
        assert handshake(api.port, origin="https://evil.example").status == 403
        assert api.get("/api/stream?since=x").status == 400
    assert moved.all("http_requests_total") == {
        ("GET", "/api/ws", "1xx"): 1,
        ("GET", "/api/ws", "4xx"): 1,
        ("GET", "other", "4xx"): 1,
        ("GET", "/api/stream", "4xx"): 1,
        SCRAPED: 1,
    }
    assert moved.total("errors_total") == 3


def test_a_request_counts_under_its_route(api: Api) -> None:
    """Never under an id: which entity was read is nobody's time series."""
    with Moved(api) as moved:
        for name in ("a", "b/c", "d%20e", "%C3%A9"):
            api.publish("x")
            api.entity(name)
            api.get(f"/api/state/entities?prefix={name}")
        api.get("/api/health")
        api.get("/api/nowhere")
        api.get("/static/flux.css")
        api.ask("PUT", "/api/admin/config", {}, authorization=ADMIN_HEADER)
        api.ask("PUT", "/api/admin/config", {})
        api.ask("OPTIONS", "/api/events")
        api.ask("HEAD", "/api/events")
        api.ask("DELETE", "/api/events")
        api.get("/admin/login/")
    assert moved.all("http_requests_total") == {
        SCRAPED: 1,
        ("POST", "/api/events", "2xx"): 4,
        ("GET", "/api/state/entities/{entity_id}", "4xx"): 4,
        ("GET", "/api/state/entities", "2xx"): 4,
        ("GET", "/api/health", "2xx"): 1,
        ("GET", "other", "4xx"): 1,
        ("GET", "other", "2xx"): 1,
        ("PUT", "/api/admin/config", "2xx"): 1,
        ("PUT", "/api/admin/config", "4xx"): 1,
        ("OPTIONS", "/api/events", "2xx"): 1,
        ("HEAD", "/api/events", "2xx"): 1,
        ("other", "/api/events", "4xx"): 1,
        ("GET", "/admin", "2xx"): 1,
    }


def test_the_time_of_a_request_is_measured_where_django_answers(api: Api) -> None:
    with Moved(api) as moved:
        for _ in range(3):
            api.get("/api/connectors")
    found = {"route": "/api/connectors", "method": "GET"}
    assert moved.total("http_request_seconds_count", **found) == 3
    assert moved.total("http_request_seconds_sum", **found) > 0
    assert moved.total("http_request_seconds_bucket", le="+Inf", **found) == 3


def test_a_slow_body_is_not_the_time_of_the_server(api: Api) -> None:
    route, body = "/api/state/entities/delete", b'{"prefix": "nobody/here"}'
    line = Line(api.port)
    with Moved(api) as moved:
        line.send(request("POST", route, b"", content_length=str(len(body))))
        time.sleep(SLOW_SECONDS)
        line.send(body)
        assert line.answer().status == 200
    line.close()
    assert moved.total("http_request_seconds_count", route=route) == 1
    assert moved.total("http_request_seconds_sum", route=route) < SLOW_SECONDS


def test_it_needs_no_database(start_server: StartServer, api_database: str) -> None:
    with proxies.running(api_database) as proxy:
        server = start_server(DATABASE_URL=proxy.url)
        proxy.is_closed = True
        api = Api(server.port)
        assert scrape.of(api).value("listeners", kind="ws") == 0
        api.close()


def test_with_a_token_it_needs_that(start_server: StartServer) -> None:
    server = start_server(FLUX_METRICS_TOKEN=TOKEN, FLUX_LOG_LEVEL="debug")
    api = Api(server.port)
    for header in (
        None,
        "",
        TOKEN,
        "Bearer",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN.upper()}",
        f"Basic {TOKEN}",
        ADMIN_HEADER,
    ):
        given = {} if header is None else {"authorization": header}
        for method in ("GET", "HEAD"):
            answer = api.ask(method, "/metrics", **given)
            assert answer.status == 401, header
            assert answer.headers["www-authenticate"] == "Bearer"
        assert api.get("/metrics", **given).code == "metrics_token_required"
    for header in (f"Bearer {TOKEN}", f"bearer   {TOKEN} "):
        found = scrape.read(api.get("/metrics", authorization=header))
        assert found.value("errors_total", code="metrics_token_required") > 0
    api.close()
    log = server.log.read_text()
    assert "metrics_token_required" in log
    assert TOKEN not in log


def test_without_a_token_anyone_may_read_it(api: Api) -> None:
    for header in ("nonsense", "Bearer nonsense"):
        assert api.get("/metrics", authorization=header).status == 200


def test_it_is_read_and_nothing_else(api: Api) -> None:
    for method in ("POST", "PUT", "DELETE"):
        answer = api.ask(method, "/metrics", {})
        assert (answer.status, answer.code) == (405, "method_not_allowed")
