"""What the lane does with requests that bring no token, in auth mode."""

import json
from collections.abc import Iterator

import pytest

from tests.support import servers
from tests.support.client import Api, Line, event, request
from tests.support.servers import Server
from tests.support.tenant import register

BODY = b'{"stream":"s","source":"s","payload":{"entity_id":"a/b","properties":{}}}'


@pytest.fixture(scope="module")
def tenants(api_database: str) -> Iterator[Server]:
    started = servers.serve(api_database, FLUX_AUTH_ENABLED="true")
    yield started
    started.stop()


@pytest.fixture
def line(tenants: Server) -> Iterator[Line]:
    opened = Line(tenants.port)
    yield opened
    opened.close()


def test_who_has_none_is_told_before_the_body_is_sent(line: Line) -> None:
    head = request("POST", "/api/events", b"x" * 500_000)[:-500_000]
    line.send(head)
    answer = line.answer()
    assert (answer.status, answer.code) == (401, "token_required")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/api/events", "/api/events/batch"])
@pytest.mark.parametrize("size", [0, 10, 3_000_000, 20_000_000])
def test_the_connection_goes_on_behind_the_refused_body(
    line: Line, tenants: Server, path: str, size: int
) -> None:
    """Whatever its size: what is thrown away is not held."""
    api = Api(tenants.port)
    tenant = register(api, f"lane-{path.count('/')}-{size}")
    api.close()
    told = json.dumps(event(f"{tenant.name}/x", {})).encode()
    publish = request("POST", "/api/events", told, authorization=tenant.header)
    for _ in range(2):
        line.send(request("POST", path, b" " * size))
        assert line.answer().status == 401
        line.send(publish)
        assert line.answer().status == 200


def test_a_request_behind_a_refused_one_is_served(line: Line) -> None:
    refused = request("POST", "/api/events", BODY)
    line.send(refused + refused + request("GET", "/api/health"))
    assert [line.answer().status for _ in range(3)] == [401, 401, 200]


@pytest.mark.parametrize("path", ["/api/events", "/api/events/batch"])
def test_of_two_tokens_neither_counts(tenants: Server, line: Line, path: str) -> None:
    """Nobody knows which one is meant, also where both are good."""
    api = Api(tenants.port)
    tenant = register(api, f"lane-twice-{len(path)}")
    api.close()
    told = json.dumps(event(f"{tenant.name}/x", {})).encode()
    if path.endswith("batch"):
        told = b"[" + told + b"]"
    sent = request("POST", path, told, authorization=tenant.header)
    again = b"authorization: " + tenant.header.encode() + b"\r\n\r\n"
    line.send(sent.replace(b"\r\n\r\n", b"\r\n" + again, 1))
    assert line.answer().status == 401
    line.send(sent)
    assert line.answer().status == 200
