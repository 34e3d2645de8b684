"""Every error has the one shape, whoever raises it (contract §0)."""

import pytest
from django.test import Client

from events import endpoints
from tests.support.client import Answer, Api, Line, check_shape, event, request


def _raw(port: int, data: bytes, *, to: str = "GET") -> Answer:
    """The answer to bytes that are no request; afterwards the server hangs up."""
    line = Line(port)
    line.send(data)
    answer = line.answer(to=to)
    check_shape(answer, to)
    assert answer.headers["connection"] == "close"
    assert line.is_over()
    line.close()
    return answer


def test_a_wrong_method_is_told_the_right_ones(api: Api) -> None:
    answer = api.ask("PUT", "/api/events")
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))


def test_a_wrong_route_or_method_comes_before_a_wrong_body(api: Api) -> None:
    large = b" " * (11 << 20)
    assert api.post("/api/nothing", large).status == 404
    assert api.ask("DELETE", "/api/events", large).status == 405


@pytest.mark.parametrize("accept", ["text/html", "image/png", "nonsense", "*/*"])
def test_everything_is_json_whatever_accept_says(api: Api, accept: str) -> None:
    for path in ("/api/health", "/api/nothing", "/api/state/entities/none"):
        answer = api.ask("GET", path, accept=accept)
        assert answer.headers["content-type"] == "application/json"


def test_a_body_is_never_of_an_unsupported_type(api: Api) -> None:
    for kind in ("image/png", "multipart/form-data", "text/plain; charset=latin-1", ""):
        assert api.post("/api/events", event("x"), content_type=kind).status == 200


def test_the_schema_has_no_picture(api: Api) -> None:
    answer = api.ask("GET", "/api/schema", accept="image/png")
    assert answer.status == 406
    assert answer.code == "not_acceptable"
    assert answer.headers["content-type"] == "application/json"


NO_HTTP = {
    "garbage": b"\x16\x03\x01\x02\x00garbage\r\n\r\n",
    "an unknown method": b"FOO /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no path": b"GET HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a relative path": b"GET api/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a blank in the path": request("GET", "/api/state/entities/a b"),
    "raw UTF-8 in the path": request("GET", "/api/state/entities/é"),
    "a raw byte in the path": request("GET", b"/api/state/entities/\xff"),
    "a raw byte in a hot path": request("POST", b"/api/events\xff", b""),
    "a header without a name": b"GET /api/health HTTP/1.1\r\n: x\r\n\r\n",
    "NUL in a header": request("GET", "/api/health", x="\0"),
    "a folded header": b"GET /api/health HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
    "a length of letters": request("POST", "/api/events", content_length="abc"),
    "a negative length": request("POST", "/api/events", content_length="-1"),
    "two lengths": b"POST /api/events HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "a length and chunks": request(
        "POST", "/api/events", content_length="3", transfer_encoding="chunked"
    ),
    "an unknown encoding": request("POST", "/api/events", transfer_encoding="gzip"),
    "a bad chunk size": request(
        "POST", "/api/events", b"zz\r\n", transfer_encoding="chunked"
    ),
    "a chunk without its end": request(
        "POST", "/api/events", b"1\r\nxx\r\n", transfer_encoding="chunked"
    ),
}


@pytest.mark.parametrize("data", NO_HTTP.values(), ids=NO_HTTP)
def test_what_is_no_http_is_a_400(api: Api, data: bytes) -> None:
    before = api.head()
    answer = _raw(api.port, data)
    assert (answer.status, answer.code) == (400, "invalid_http")
    assert api.head() == before


def test_two_host_headers_are_a_400(api: Api) -> None:
    for path in ("/api/health", "/api/state/entities/a"):
        for hosts in ((b"localhost", b"evil.example"), (b"evil.example", b"localhost")):
            line = Line(api.port)
            line.send(
                b"GET %b HTTP/1.1\r\nHost: %b\r\nHost: %b\r\n\r\n"
                % (path.encode(), *hosts)
            )
            answer = line.answer()
            assert (answer.status, answer.code) == (400, "invalid_http")
            line.close()


MANY = {f"x{number}": "" for number in range(9_000)}
LARGE_HEADS = {
    "one long header": request("GET", "/api/health", x="y" * 70_000),
    "many headers": request("GET", "/api/health", None, **MANY),
    "a long path": request("GET", "/api/state/entities/" + "x" * 70_000),
    "a long query": request("GET", "/api/events?stream=" + "x" * 70_000),
    "together": request("GET", "/api/events?a=" + "x" * 40_000, x="y" * 40_000),
    "on a hot path": request("POST", "/api/events", b"", x="y" * 70_000),
    "without end": b"GET /api/health HTTP/1.1\r\nX: " + b"y" * 400_000,
}


@pytest.mark.parametrize("data", LARGE_HEADS.values(), ids=LARGE_HEADS)
def test_a_head_of_more_than_64_kib_is_a_431(api: Api, data: bytes) -> None:
    answer = _raw(api.port, data)
    assert (answer.status, answer.code) == (431, "headers_too_large")


@pytest.mark.parametrize("pieces", [1, 2, 7, 500])
def test_a_head_of_60_kib_is_read_in_however_many_pieces(api: Api, pieces: int) -> None:
    data = request("GET", "/api/health", x="y" * 30_000, z="y" * 30_000)
    size = -(-len(data) // pieces)
    line = Line(api.port)
    for start in range(0, len(data), size):
        line.send(data[start : start + size])
    assert line.answer().status == 200
    line.close()


@pytest.mark.parametrize("path", ["/api/health", "/api/state/entities?limit=1"])
def test_http_1_0_gets_an_answer_with_its_length(api: Api, path: str) -> None:
    line = Line(api.port)
    line.send(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    answer = line.answer()
    assert answer.status == 200
    assert "transfer-encoding" not in answer.headers
    assert line.is_over()
    line.close()


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Client:
    """Django with a bug where it calls the endpoint functions."""

    def bug(_: bytes) -> None:
        message = "the bug"
        raise RuntimeError(message)

    monkeypatch.setattr(endpoints, "publish", bug)
    return Client(raise_request_exception=False)


def test_a_bug_is_a_500_with_a_reference_and_without_its_trace(broken: Client) -> None:
    answer = broken.post("/api/events", b"{}", content_type="application/json")
    assert answer.status_code == 500
    assert answer["Content-Type"] == "application/json"
    found = answer.json()
    assert found["code"] == "internal_error"
    assert "reference" in found["error"]
    assert b"the bug" not in answer.content
    assert b"Traceback" not in answer.content
