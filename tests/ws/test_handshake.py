"""How a connection to the live feed begins, or does not (contract §§0, 5)."""

from collections.abc import Iterator

import pytest

from tests.support import servers
from tests.support.client import Answer, Api, Line, request
from tests.support.live import UPGRADE, fence, handshake, heard
from tests.support.servers import Server
from tests.ws.conftest import Follow, Listen

FOREIGN = [
    "https://evil.example",
    "http://localhost.evil.example",
    "http://192.168.1.5",
    "null",
    "nonsense",
    "",
]
LOOPBACK = ["http://localhost:5173", "http://127.0.0.1:3000", "http://[::1]:3000"]
NO_HOSTS = ["evil.example", "localhost.evil.example:3000", "127.1", "[::1", "a b"]
HOSTS = ["localhost", "LOCALHOST:3000", "10.1.2.3:3000", "[2001:db8::7]:3000"]


def refused(answer: Answer, status: int, code: str | None = None) -> bool:
    """In the one shape of errors."""
    assert answer.headers["content-type"] == "application/json", answer
    assert {"error", "code"} <= answer.json.keys() <= {"error", "code", "field"}
    assert answer.json["error"].strip()
    return answer.status == status and code in {answer.code, None}


def ask(api: Api, way: str, query: str = "", **headers: str) -> Answer:
    """A handshake, or a request for a stream that is meant to be refused."""
    if way == "stream":
        return api.get(f"/api/stream{query}", **headers)
    return handshake(api.port, query, **headers)


@pytest.fixture(params=["socket", "stream"])
def way(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.mark.parametrize("origin", FOREIGN)
def test_pages_from_elsewhere_are_refused(api: Api, way: str, origin: str) -> None:
    """WebSockets know no CORS: this check alone keeps a foreign page out."""
    answer = ask(api, way, origin=origin)
    assert refused(answer, 403, "origin_not_allowed")
    assert "FLUX_ALLOWED_ORIGINS" in answer.json["error"]
    assert refused(ask(api, way, "?since=x", origin=origin), 403)


@pytest.mark.parametrize("host", NO_HOSTS)
def test_other_names_are_refused(api: Api, way: str, host: str) -> None:
    assert refused(ask(api, way, host=host), 400, "host_not_allowed")


@pytest.mark.parametrize("origin", LOOPBACK)
def test_pages_from_loopback_hosts_may_listen(
    listen: Listen, follow: Follow, origin: str
) -> None:
    listen("?entity_id=a", origin=origin).next("subscribed")
    stream = follow("?entity_id=a", origin=origin)
    assert stream.response.headers["access-control-allow-origin"] == origin
    stream.next("subscribed")


def test_the_page_of_the_server_itself_may_listen(api: Api) -> None:
    own = {"host": "10.1.2.3:99", "origin": "http://10.1.2.3:99"}
    assert handshake(api.port, **own).status == 101


@pytest.mark.parametrize("host", HOSTS)
def test_it_answers_to_loopback_names_and_addresses(api: Api, host: str) -> None:
    assert handshake(api.port, host=host).status == 101


@pytest.fixture(scope="module")
def for_some(api_database: str) -> Iterator[Server]:
    started = servers.serve(
        api_database,
        FLUX_ALLOWED_ORIGINS="https://good.example",
        FLUX_ALLOWED_HOSTS="flux.example",
    )
    yield started
    started.stop()


def test_a_list_lets_in_what_it_names_and_nothing_else(for_some: Server) -> None:
    for headers in (
        {"origin": "https://good.example"},
        {"host": "flux.example"},
        {"host": "flux.example", "origin": "https://flux.example"},
    ):
        assert handshake(for_some.port, **headers).status == 101, headers
    for origin in ("http://good.example", "http://localhost:5173", "null"):
        assert refused(handshake(for_some.port, origin=origin), 403)
    assert refused(handshake(for_some.port, host="other.example"), 400)


WRONG = {
    "?entity_id=": "invalid_entity_id",
    "?entity_id=%2Fx": "invalid_entity_id",
    "?entity_id=..": "invalid_entity_id",
    "?entity_id=a%00b": "invalid_entity_id",
    "?entity_id=" + "x" * 513: "invalid_entity_id",
    "?entity_id=a&prefix=b": "invalid_subscription",
    "?prefix=a&namespace=b": "invalid_subscription",
    "?entity_id=a&prefix=b&namespace=c&since=0": "invalid_subscription",
    "?since=0&snapshot=1": "invalid_subscription",
    "?entity_id=a&since=0&snapshot=1": "invalid_subscription",
    "?namespace=": None,
    "?since=": None,
    "?since=x": None,
    "?since=-1": None,
    "?since=1.5": None,
    "?since=%2B1": None,
    "?since=1e3": None,
    "?since=%D9%A1": None,
    "?since=" + "9" * 40: None,
    "?since=9000000000000000": "since_ahead",
    "?snapshot=2": None,
    "?snapshot=yes": None,
    "?prefix=%FF": None,
}


@pytest.mark.parametrize(("query", "code"), WRONG.items())
def test_wrong_parameters_are_a_400(
    api: Api, way: str, query: str, code: str | None
) -> None:
    assert refused(ask(api, way, query), 400, code)


def test_since_right_behind_the_head_is_ahead(api: Api, way: str) -> None:
    head = api.publish("a", x=1)
    assert refused(ask(api, way, f"?since={head + 1}"), 400, "since_ahead")


@pytest.mark.parametrize(
    ("query", "ack"),
    [
        ("?entity_id=a%2Fb", {"entity_id": "a/b"}),
        ("?entity_id=%2A", {"entity_id": "*"}),
        ("?prefix=d%C3%BC%2F", {"prefix": "dü/"}),
        ("?namespace=n+1", {"namespace": "n 1"}),
    ],
)
def test_a_subscription_of_the_handshake_is_acknowledged(
    api: Api, listen: Listen, follow: Follow, query: str, ack: dict[str, str]
) -> None:
    head = api.head()
    for listener in (listen(query), follow(query)):
        assert listener.next("subscribed") == {"type": "subscribed", **ack, "seq": head}
        assert listener.said[0]["type"] == "subscribed"


def test_only_what_the_handshake_asked_for_comes(
    api: Api, listen: Listen, follow: Follow
) -> None:
    before = api.publish("a", x=0)
    api.publish("a", x=1)
    listeners = [
        opening(f"?{wanted}&since={before}")
        for opening in (listen, follow)
        for wanted in (f"entity_id={api.id('a')}", f"prefix={api.id('a')}")
    ]
    api.publish("b", x=2)
    api.publish("a", x=3)
    fence(api, *listeners)
    for listener in listeners:
        assert [value for _, _, value in heard(listener)] == [1, 3]
        assert listener.account.faults == []


def test_since_alone_is_everything_since(
    api: Api, listen: Listen, follow: Follow
) -> None:
    before = api.publish("a", x=0)
    api.publish("a", x=1)
    for listener in (listen(f"?since={before}"), follow(f"?since={before}")):
        assert listener.next("subscribed")["entity_id"] == "*"
        assert listener.next("replay_start")["from_seq"] == before + 1
        fence(api, listener)
        assert heard(listener) == [(api.id("a"), "x", 1)]


def test_snapshot_alone_is_a_snapshot_of_everything(
    api: Api, listen: Listen, follow: Follow
) -> None:
    api.publish("a", x=1)
    for listener in (listen("?snapshot=1"), follow("?snapshot=1")):
        listener.next("snapshot_end")
        assert listener.view[api.id("a")] == {"x": 1}
        seq = api.publish("b", x=2)
        listener.wait_for_seq(seq)


def test_more_can_be_subscribed_after_the_handshake(api: Api, listen: Listen) -> None:
    socket = listen(f"?entity_id={api.id('a')}")
    socket.subscribe(entity_id=api.id("b"))
    for name in ("a", "b", "c"):
        api.publish(name, of=name)
    fence(api, socket)
    assert [value for _, _, value in heard(socket)] == ["a", "b"]


def test_without_an_upgrade_it_is_a_426(api: Api) -> None:
    answer = api.get("/api/ws")
    assert (answer.status, answer.code) == (426, "upgrade_required")
    assert answer.headers["upgrade"].lower() == "websocket"


@pytest.mark.parametrize("path", ["/api/ws", "/api/stream"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_other_methods_are_a_405(api: Api, method: str, path: str) -> None:
    answer = api.ask(method, path, {})
    assert (answer.status, answer.code) == (405, "method_not_allowed")


def test_an_authorization_header_is_ignored_in_open_mode(api: Api) -> None:
    for value in ("Bearer wrong", "nonsense", ""):
        assert handshake(api.port, authorization=value).status == 101


def test_a_handshake_that_is_none_is_refused(api: Api) -> None:
    for wrong in (
        {"sec_websocket_version": "8"},
        {"sec_websocket_key": "short"},
    ):
        assert 400 <= handshake(api.port, **wrong).status < 500
    fence(api)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sec_websocket_version": "12"},
        {"sec_websocket_key": "x"},
        {"sec_websocket_key": ""},
    ],
    ids=str,
)
def test_what_is_no_handshake_is_refused_in_the_order_of_all_errors(
    api: Api, wrong: dict[str, str]
) -> None:
    assert refused(handshake(api.port, **wrong), 426, "upgrade_required")
    evil = {"origin": "https://evil.example"}
    assert refused(handshake(api.port, **wrong, **evil), 403, "origin_not_allowed")
    unknown = api.ask("GET", "/api/nope", **UPGRADE | wrong)
    assert (unknown.status, unknown.code) == (404, "unknown_route")


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_handshake_by_another_method_is_a_405(api: Api, method: str) -> None:
    line = Line(api.port)
    line.send(request(method, "/api/ws", **UPGRADE))
    answer = line.answer()
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    line.close()
