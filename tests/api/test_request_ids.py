"""A request's id: in its answer, and in whatever the log says of it."""

import re
from collections.abc import Callable, Iterator

import pytest
from django.db import connections

from flux_project.embedded import EmbeddedPostgres
from tests.support import ledger, loglines, servers
from tests.support import proxy as proxies
from tests.support.client import ADMIN_HEADER, Api, Line, event, request
from tests.support.live import Socket, Stream, handshake
from tests.support.servers import Server

StartServer = Callable[..., Server]
ID = re.compile(r"[0-9a-f]{16}\Z")
GIVEN = ["a", "0" * 64, "A-b_c.9", "2f6c1e80-2d3a-4a51-8f5e-0a7c4f7b9d11", "---", "..."]
# None of them may reach the log. A line break alone ends a header, as HTTP has it.
HOSTILE = {
    "too long": "q" * 65,
    "ten kilobytes": "q" * 10_240,
    "empty": "",
    "a blank": "qq qq",
    "a tab": "qq\tqq",
    "unicode": "qqé☃".encode().decode("latin-1"),
    "a quote": 'qq"},{"level":"fatal"',
    "markup": "<b>qq</b>",
    "an escape": "qq%0aqq\\n",
    "a colour": "qq[31m",
    "two": "qq,qq",
}
# Each is answered by another part: the gate, Django, DRF, an endpoint, the lane.
KINDS: list[tuple[str, str, object, dict[str, str]]] = [
    ("GET", "/api/health", None, {}),
    ("GET", "/api/nowhere", None, {}),
    ("GET", "/nowhere", None, {}),
    ("GET", "/", None, {}),
    ("GET", "/static/flux.css", None, {}),
    ("GET", "/admin/", None, {}),
    ("GET", "/metrics", None, {}),
    ("PUT", "/api/events", {}, {}),
    ("OPTIONS", "/api/events", None, {}),
    ("OPTIONS", "/api/events", None,
     {"origin": "http://localhost:1", "access_control_request_method": "POST"}),
    ("GET", "/api/health", None, {"origin": "https://evil.example"}),
    ("GET", "/api/health", None, {"host": "evil.example"}),
    ("GET", "/api/events?limit=x", None, {}),
    ("GET", "/api/stream?since=x", None, {}),
    ("GET", "/api/ws", None, {}),
    ("POST", "/api/events", b"x", {}),
    ("POST", "/api/events", {}, {"origin": "http://localhost:1"}),
    ("POST", "/api/events/batch", b"[", {}),
    ("GET", "/api/state/entities/none/here", None, {}),
    ("GET", "/api/state/entities/%FF", None, {}),
    ("DELETE", "/api/state/entities/none/here", None, {}),
    ("POST", "/api/events", b" " * (2 << 20), {}),
]  # fmt: skip
every_kind = pytest.mark.parametrize(("method", "path", "body", "headers"), KINDS)


@every_kind
def test_every_answer_has_the_id_that_was_given(
    api: Api, method: str, path: str, body: object, headers: dict[str, str]
) -> None:
    for given in GIVEN:
        answer = api.ask(method, path, body, x_request_id=given, **headers)
        assert answer.headers["x-request-id"] == given, answer


@every_kind
def test_without_one_every_answer_has_a_new_one(
    api: Api, method: str, path: str, body: object, headers: dict[str, str]
) -> None:
    ids = [
        api.ask(method, path, body, **headers).headers["x-request-id"] for _ in range(3)
    ]
    assert all(ID.match(one) for one in ids)
    assert len(set(ids)) == 3


@pytest.mark.parametrize("given", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_id_is_replaced(api: Api, given: str) -> None:
    for method, path, body, headers in KINDS:
        answer = api.ask(method, path, body, x_request_id=given, **headers)
        assert ID.match(answer.headers["x-request-id"]), answer
    answer = handshake(api.port, x_request_id=given)
    assert ID.match(answer.headers["x-request-id"]), answer


def test_what_is_no_http_has_a_new_one(api: Api) -> None:
    for data in (b"garbage\r\n\r\n", request("GET", "/", x="y" * 70_000)):
        line = Line(api.port)
        line.send(data)
        assert ID.match(line.answer().headers["x-request-id"])
        line.close()


def test_a_line_break_in_one_is_no_http(api: Api) -> None:
    for broken in ("a\nb", "a\r\n b", "a\rb", "a\0b"):
        line = Line(api.port)
        line.send(request("GET", "/api/health", x_request_id=broken))
        answer = line.answer()
        assert answer.status == 400, broken
        assert ID.match(answer.headers["x-request-id"])
        line.close()


def test_handshakes_have_one(api: Api) -> None:
    for query, status in (("", 101), ("?since=x", 400), ("?since=999999999", 400)):
        answer = handshake(api.port, query, x_request_id="mine")
        assert (answer.status, answer.headers["x-request-id"]) == (status, "mine")
        answer = handshake(api.port, query)
        assert ID.match(answer.headers["x-request-id"])
    for wrong, status in (
        ({"origin": "https://evil.example"}, 403),
        ({"sec_websocket_key": "short"}, 426),
        ({"sec_websocket_version": "8"}, 426),
    ):
        refused = handshake(api.port, x_request_id="mine", **wrong)
        assert (refused.status, refused.headers["x-request-id"]) == (status, "mine")
        assert "error" in refused.json
    with Stream(api.port, "?entity_id=a", x_request_id="mine").listen() as stream:
        assert stream.response.headers["x-request-id"] == "mine"


@pytest.fixture(params=["true", "false"], ids=["lane", "plain"])
def talkative(request: pytest.FixtureRequest, start_server: StartServer) -> Server:
    """A server that says all it has to say, as JSON."""
    return start_server(
        FLUX_LANE=request.param, FLUX_LOG_LEVEL="debug", **loglines.SETTINGS
    )


@pytest.fixture
def caller(talkative: Server) -> Iterator[Api]:
    client = Api(talkative.port)
    yield client
    client.close()


def test_the_log_says_of_a_refused_request_what_the_answer_says(
    caller: Api, talkative: Server
) -> None:
    asked = [one for one in KINDS if one[0] in {"GET", "PUT", "POST", "DELETE"}]
    refused = 0
    for number, (method, path, body, headers) in enumerate(asked):
        answer = caller.ask(method, path, body, x_request_id=f"r{number}", **headers)
        if answer.status < 400:
            continue
        refused += 1
        (line,) = loglines.of_request(talkative, f"r{number}")
        assert line["level"] == "debug"
        assert line["method"] == method
        assert line["path"] == path.partition("?")[0]
        assert line["status"] == answer.status
        is_json = answer.headers["content-type"] == "application/json"
        assert line["code"] == (answer.code if is_json else None)
    assert refused > 10


def test_the_log_says_so_of_a_refused_handshake(talkative: Server) -> None:
    handshake(talkative.port, "?since=secret", x_request_id="hand")
    (line,) = loglines.of_request(talkative, "hand")
    assert (line["path"], line["status"]) == ("/api/ws", 400)
    assert line["code"] == "invalid_subscription"
    assert all(one["level"] == "debug" for one in loglines.read(talkative))


SECRETS = {
    "authorization": "Bearer sesame-of-the-client",
    "x_something": "sesame-in-a-header",
    "cookie": "sesame=cookie",
    "user_agent": "sesame-agent",
}


def test_no_line_holds_a_token_a_query_a_body_or_a_header(
    caller: Api, talkative: Server
) -> None:
    query = "sesame=in-the-query"
    body = b'{"sesame": "in the body", '
    for method, path, _, headers in KINDS:
        before, _, given = path.partition("?")
        caller.ask(method, f"{before}?{given}&{query}", body, **headers | SECRETS)
        caller.ask(method, path, body, **headers | SECRETS)
    caller.ask("PUT", "/api/admin/config", b"sesame", **SECRETS)
    admin = SECRETS | {"authorization": ADMIN_HEADER}
    caller.ask("PUT", "/api/admin/config", b"sesame", **admin)
    caller.post("/api/events", event("a/sesame", {"sesame": "a" * 20}, source="sesame"))
    caller.post("/api/events/batch", [event("a/sesame", {"sesame": float(10**300)})])
    handshake(talkative.port, "?" + query, **SECRETS)
    handshake(talkative.port, "?since=x&" + query, **SECRETS)
    with Socket(talkative.port, "", **SECRETS).listen() as socket:  # type: ignore[arg-type]  # headers alone
        socket.send('{"sesame')
        socket.next("error")
        socket.send(b"\xff sesame")
        socket.next("error")
        socket.publish(event("b/sesame", {"sesame": 1}), {"sesame": 1})
    for data in (b"SESAME sesame\r\n\r\n", request("GET", "/", sesame="y" * 70_000)):
        line = Line(talkative.port)
        line.send(data)
        line.answer()
        line.close()
    loglines.of_request(talkative, caller.get("/api/end").headers["x-request-id"])
    assert len(loglines.read(talkative)) > len(KINDS)
    text = talkative.log.read_text()
    assert "sesame" not in text.lower()
    assert ADMIN_HEADER.removeprefix("Bearer ") not in text


def test_hostile_ids_and_paths_never_reach_the_log(
    caller: Api, talkative: Server
) -> None:
    for given in HOSTILE.values():
        caller.get("/api/nowhere", x_request_id=given)
        caller.post("/api/events", b"x", x_request_id=given)
        handshake(talkative.port, "?since=x", x_request_id=given)
    long = "/api/" + "y" * 5_000
    caller.get(long, x_request_id="long")
    caller.get("/api/a%0Ab%1B%5B31m%E2%98%83", x_request_id="odd")
    (line,) = loglines.of_request(talkative, "odd")
    assert line["path"] == "/api/a%0Ab%1B%5B31m%E2%98%83"
    (line,) = loglines.of_request(talkative, "long")
    assert line["path"] == long[:200]
    text = talkative.log.read_text()
    assert "qq" not in text
    assert text.isascii()


def test_while_the_database_is_away_lines_are_few_and_have_their_ids(
    start_server: StartServer, api_database: str
) -> None:
    with proxies.running(api_database) as proxy:
        server = start_server(DATABASE_URL=proxy.url, **loglines.SETTINGS)
        api = Api(server.port)
        api.publish("a")
        proxy.is_closed = True
        with ledger.at(api_database) as connection:
            name = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE"
            connection.execute(
                f"SELECT pg_terminate_backend(pid) FROM ({name} 'flux committer') one"
            )
        for number in range(400):
            answer = api.post("/api/events", event("a"), x_request_id=f"r{number}")
            assert answer.status == 503
        api.get("/api/health", x_request_id="last")
        lines = loglines.read(server)
        api.close()
    refused = [line for line in lines if line["event"] == "refused"]
    assert refused[0]["request_id"] == "r0"
    assert refused[0]["level"] == "warning"
    assert len(refused) < 400
    about_requests = [line for line in lines if "request_id" in line]
    assert len(about_requests) == len(refused), "one line each is enough"
    told = len(refused) + sum(one.get("lines_left_out", 0) for one in refused)
    assert told <= 401


@pytest.fixture
def broken(postgres: EmbeddedPostgres) -> Iterator[Server]:
    """A server whose log has lost what says which it is: each commit is a bug to it."""
    name = servers.make_database(postgres, "flux_broken")
    server = servers.serve(name, **loglines.SETTINGS)
    with ledger.at(name) as connection:
        connection.execute("DELETE FROM events_log")
    yield server
    server.stop()
    connections.close_all()


def test_a_bug_that_failed_many_is_found_from_each_of_their_ids(
    broken: Server,
) -> None:
    api = Api(broken.port)
    answer = api.post("/api/events", event("a"), x_request_id="mine")
    api.close()
    assert (answer.status, answer.code) == (500, "internal_error")
    assert "reference mine." in answer.json["error"]
    lines = loglines.of_request(broken, "mine", "failed_with_its_group")
    reference = lines[0]["reference"]
    (traceback,) = [
        one
        for one in loglines.read(broken)
        if one["event"] == "group_failed" and one["reference"] == reference
    ]
    assert traceback["level"] == "error"
    assert "Traceback" in traceback["exception"]
