"""What the lane assumes about uvicorn, whose protocol it extends.

uvicorn is pinned; whoever raises the pin reads the lane again beside the new version.
"""

import re
from importlib.metadata import version
from inspect import signature
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from flux_project.lane_cycle import LaneCycle, PublishCycle
from flux_project.reply import Reply

PROJECT = Path(__file__).resolve().parents[2]
REVIEWED = "0.54.0"


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """Never called."""


def test_uvicorn_is_the_version_that_the_lane_was_written_against() -> None:
    pinned = re.search(r"^uvicorn.*==(\S+)", _requirements(), re.MULTILINE)
    assert pinned is not None
    assert pinned[1].rstrip("\\").strip() == version("uvicorn") == REVIEWED


def _requirements() -> str:
    return (PROJECT / "requirements.txt").read_text()


def test_uvicorn_has_what_the_lane_uses() -> None:
    """What is overridden or called; a change is a reason to read the lane again."""
    for name in (
        "connection_made",
        "connection_lost",
        "data_received",
        "on_message_begin",
        "on_header",
        "on_headers_complete",
        "on_body",
        "on_message_complete",
        "on_response_complete",
        "send_400_response",
        "_start_asgi_task",
        "resume_writing",
        "timeout_keep_alive_handler",
        "shutdown",
    ):
        assert callable(getattr(HttpToolsProtocol, name)), name
    flow = set(dir(FlowControl))
    assert {"pause_reading", "resume_reading", "resume_writing"} <= flow


def _cycle() -> LaneCycle:
    asked = b"/api/events", {b"host": b"localhost"}
    return PublishCycle(asked, lambda _: Reply(200, b""), limit=1, keep_alive=True)


def test_a_cycle_of_the_lane_has_what_uvicorn_asks_of_its_own() -> None:
    """uvicorn reads and sets these of `protocol.cycle`, whoever made it."""
    asked = {
        "body",
        "disconnected",
        "keep_alive",
        "message_event",
        "more_body",
        "response_complete",
    }
    assert asked <= set(dir(_cycle()))
    own = set(signature(RequestResponseCycle.__init__).parameters)
    assert {"keep_alive", "message_event", "on_response"} <= own


async def test_a_protocol_of_uvicorn_has_the_state_that_the_lane_reads() -> None:
    config = uvicorn.Config(_app, lifespan="off", log_config=None)
    config.load()
    made = HttpToolsProtocol(config=config, server_state=ServerState(), app_state={})
    for name in (
        "cycle",
        "flow",
        "headers",
        "loop",
        "parser",
        "pipeline",
        "timeout_keep_alive",
        "timeout_keep_alive_task",
        "transport",
    ):
        assert hasattr(made, name), name
    made.on_message_begin()
    assert made.url == b""
