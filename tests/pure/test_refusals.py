"""What the log says of refused requests: bounded, and nothing of what they held."""

import pytest
import structlog
from structlog.testing import capture_logs

from flux_project import refusals
from flux_project.refusals import Allowance

BODY = b'{"error":"Sesame.","code":"invalid_event","field":"sesame"}'


def note(status: int = 400, body: bytes = BODY, path: bytes = b"/a") -> None:
    refusals.note(status, body, request_id="mine", method="GET", path=path)


@pytest.fixture(autouse=True)
def a_fresh_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was used before keeps its processors, so nothing would be captured."""
    monkeypatch.setattr(refusals, "logger", structlog.get_logger())


@pytest.fixture
def allowance(monkeypatch: pytest.MonkeyPatch) -> Allowance:
    made = Allowance(3)
    monkeypatch.setattr(refusals, "_allowance", made)
    return made


def test_so_many_a_second_and_what_is_beyond_is_counted() -> None:
    allowance = Allowance(3)
    assert [allowance.take(10.0 + n / 10) for n in range(8)] == [0, 0, 0, *[None] * 5]
    assert [allowance.take(11.0), allowance.take(11.1)] == [5, 0]
    assert [allowance.take(11.2), allowance.take(11.3)] == [0, None]
    assert allowance.take(100.0) == 1


def test_what_a_client_did_wrong_is_for_who_looks_closely(allowance: Allowance) -> None:
    with capture_logs() as lines:
        for status in (400, 404, 429, 499):
            note(status)
    assert [line["log_level"] for line in lines] == ["debug"] * 4
    assert lines[0] == {
        "event": "refused",
        "log_level": "debug",
        "request_id": "mine",
        "status": 400,
        "code": "invalid_event",
        "method": "GET",
        "path": "/a",
    }


def test_what_the_server_could_not_do_is_a_warning_until_there_are_many(
    allowance: Allowance, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capture_logs() as lines:
        for status in (500, 503, 503, 503, 500):
            note(status)
        allowance._since -= 1
        note(503)
    assert [line["log_level"] for line in lines] == ["warning"] * 4
    assert "lines_left_out" not in lines[0]
    assert lines[-1]["lines_left_out"] == 2


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"code": 7}', b"\xff", b"7", b'{"code": null}']
)
def test_an_answer_without_a_code_has_none(allowance: Allowance, body: bytes) -> None:
    with capture_logs() as lines:
        note(body=body)
    assert lines[0]["code"] is None


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (b"/api/a%2Fb", "/api/a%2Fb"),
        (b"/api/~a'(b)*;c=d&e@f:g!$,", "/api/~a'(b)*;c=d&e@f:g!$,"),
        (b"/a\nb\r\x1b[31m\x00", "/a%0Ab%0D%1B[31m%00"),
        ("/é☃ x".encode(), "/%C3%A9%E2%98%83%20x"),
        (b"/\xff", "/%FF"),
        (b"/" + b"\xff" * 500, ("/" + "%FF" * 500)[:200]),
    ],
)
def test_a_path_is_shown_as_what_may_stand_in_a_line(
    allowance: Allowance, sent: bytes, shown: str
) -> None:
    with capture_logs() as lines:
        note(path=sent)
    assert lines[0]["path"] == shown
    assert lines[0]["path"].isascii()
    assert lines[0]["path"].isprintable()
