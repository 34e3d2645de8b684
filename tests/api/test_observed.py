"""What becomes of a bug beneath Django and beside it: an answer that names its line."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from flux_project import request_ids
from flux_project.errors import InternalError
from flux_project.gate import Message, Receive, Scope, Send
from flux_project.lane_cycle import PublishCycle
from flux_project.observed import Observed
from flux_project.reply import ok
from tests.support import scrape

ID = b"mine"
Application = Callable[[Scope, Receive, Send], Any]


def scope(kind: str, **more: object) -> dict[str, Any]:
    return {
        "type": kind,
        "method": "GET",
        "path": "/a",
        "headers": [(b"x-request-id", ID)],
        "extensions": {"websocket.http.response": {}},
        **more,
    }


def run(inner: Application, asked: Mapping[str, Any]) -> list[Message]:
    """What it sends; the client has nothing to say."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    asyncio.run(Observed(inner)(dict(asked), receive, send))
    return sent


async def break_(scope: Scope, receive: Receive, send: Send) -> None:
    message = "the bug with sesame in it"
    raise RuntimeError(message)


async def break_late(scope: Scope, receive: Receive, send: Send) -> None:
    is_http = scope["type"] == "http"
    kind = "http.response.start" if is_http else "websocket.accept"
    await send({"type": kind, "status": 200, "headers": []})
    await break_(scope, receive, send)


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_bug_is_a_500_whose_sentence_names_the_id(kind: str) -> None:
    with capture_logs() as lines:
        start, body = run(break_, scope(kind))
    assert start["status"] == 500
    headers = dict(start["headers"])
    assert headers[b"x-request-id"] == ID
    assert headers[b"content-type"] == b"application/json"
    assert b"reference mine." in body["body"]
    assert b"internal_error" in body["body"]
    assert b"sesame" not in body["body"]
    bug, refused = lines
    assert (bug["event"], bug["request_id"], bug["log_level"]) == (
        "bug",
        "mine",
        "error",
    )
    assert isinstance(bug["exc_info"], RuntimeError)
    assert (refused["event"], refused["request_id"]) == ("refused", "mine")
    assert refused["code"] == "internal_error"


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_too_late_for_an_answer_the_traceback_names_the_id(kind: str) -> None:
    """The server logs that one."""
    with pytest.raises(RuntimeError) as raised:
        run(break_late, scope(kind))
    assert raised.value.__notes__ == ["request_id: mine"]


def test_a_bug_counts_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = scrape.of_this_process()
    run(break_, scope("http"))
    now = scrape.of_this_process()
    labels = {"route": "other", "method": "GET", "status": "5xx"}
    for name, more in (
        ("errors_total", {"code": "internal_error"}),
        ("http_requests_total", labels),
    ):
        assert now.value(name, **more) == counted.value(name, **more) + 1


def test_the_id_is_bound_for_a_request_and_not_for_a_socket() -> None:
    """A socket lives long, and what it publishes is committed with that of others."""
    seen: dict[str, str | None] = {}

    async def look(scope: Scope, receive: Receive, send: Send) -> None:
        seen[scope["type"]] = request_ids.current()

    for kind in ("http", "websocket"):
        run(look, scope(kind))
    assert seen == {"http": "mine", "websocket": None}


def test_a_server_without_answers_to_handshakes_gets_a_close() -> None:
    with capture_logs():
        (sent,) = run(break_, scope("websocket", extensions={}))
    assert sent["type"] == "websocket.close"


def lane_cycle(headers: dict[bytes, bytes]) -> PublishCycle:
    asked = (b"/api/events", headers)
    return PublishCycle(asked, lambda _: ok({}), limit=1, keep_alive=True)


def test_a_bug_on_the_lane_names_the_id_too() -> None:
    cycle = lane_cycle({b"x-request-id": ID, b"authorization": b"Bearer sesame"})
    with capture_logs() as lines:
        try:
            raise RuntimeError
        except RuntimeError:
            reply = cycle.identify(cycle.refuse())
    assert reply.status == 500
    assert b"reference mine." in reply.body
    assert reply.headers == (("X-Request-Id", "mine"),)
    assert [line["event"] for line in lines] == ["bug", "refused"]
    assert {line["request_id"] for line in lines} == {"mine"}
    assert "sesame" not in str(lines)


def test_what_failed_a_group_names_both_references() -> None:
    cycle = lane_cycle({b"x-request-id": ID})
    with capture_logs() as lines:
        reply = cycle.refuse(InternalError("of the group"))
    assert b"reference mine." in reply.body
    (line,) = lines
    assert line["event"] == "failed_with_its_group"
    assert line["reference"] == "of the group"


def test_an_id_is_made_once_for_a_request() -> None:
    cycle = lane_cycle({b"x-request-id": b"no id \xff"})
    assert cycle.id == cycle.id
    assert len(cycle.id) == 16
