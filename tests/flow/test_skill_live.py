"""The live part of the skill's reference, played against a real server.

What the reference shows of a WebSocket and of Server-Sent Events is what comes: the
same frames with the same fields, in the same order.
"""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.client import Api, event
from tests.support.live import Socket
from tests.support.servers import Server
from tests.support.skill import FOLDER
from tests.support.view import Frame

REFERENCE = (FOLDER / "references" / "api.md").read_text()
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROOM = "dawn-coral/room-301"


@pytest.fixture
def api(server: Server) -> Iterator[Api]:
    client = Api(server.port)
    client.post("/api/state/entities/delete", {"namespace": "dawn-coral"})
    yield client
    client.close()


def block(language: str, *, behind: str) -> str:
    """The first block in that language behind a heading of the reference."""
    text = REFERENCE[REFERENCE.index(f"\n### {behind}\n") :]
    blocks = (found for found in FENCED.finditer(text) if found[1] == language)
    return next(blocks)[2]


def shape(value: Any) -> Any:
    """Its keys, all the way down, and what the types of frames are called."""
    if isinstance(value, dict):
        return {
            key: item if key in {"type", "code", "more", "removed"} else shape(item)
            for key, item in value.items()
        }
    return [shape(item) for item in value] if isinstance(value, list) else None


def conversation() -> list[tuple[str, Frame]]:
    """(`>` or `<`, frame) of each line that the reference shows."""
    said = block("ws", behind="The WebSocket").splitlines()
    assert {line[:2] for line in said} == {"> ", "< "}
    return [(line[0], json.loads(line[2:])) for line in said]


def told(frames: list[Frame]) -> tuple[list[Any], list[Any]]:
    """Shapes: of what is told in one order, and of what may come in between."""
    shapes = [shape(frame) for frame in frames if frame["type"] != "metrics_update"]
    published = [one for one in shapes if one["type"] == "published"]
    return [one for one in shapes if one["type"] != "published"], published


def test_the_conversation_of_the_reference_takes_place(
    api: Api, server: Server
) -> None:
    due: list[Frame] = []
    # The figures come when they come; they stand last in the reference.
    with Socket(server.port).listen() as socket:
        for side, frame in conversation():
            if side == "<":
                due.append(frame)
                continue
            socket.wait(lambda: len(socket.said) >= len(due), what=f"{frame}")
            if "since" in frame:
                (deleted,) = socket.of("entity_deleted")
                frame["since"] = deleted["seq"] - 1
            socket.send(frame)
        socket.next("error")
        figures = socket.next("metrics_update")
        assert told(socket.frames) == told(due)
    assert shape(figures) == shape(due[-1])


def test_the_stream_of_the_reference_is_what_comes(api: Api, server: Server) -> None:
    answer = api.post(
        "/api/events", event(ROOM, {"temperature": 21, "unit": "celsius"})
    )
    seq = answer.json["seq"]
    command = block("sh", behind="Server-Sent Events").replace(
        "since=0", f"since={seq - 1}"
    )
    arguments = ["bash", "-c", f"exec {command}"]
    listening = subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        env={"FLUX_URL": server.base_url, "PATH": "/usr/bin:/bin"},
    )
    assert listening.stdout is not None
    got: list[str] = []
    try:
        for raw in listening.stdout:
            got.append(raw.decode().removesuffix("\n"))
            if "replay_end" in got[-1]:
                break
    finally:
        listening.send_signal(signal.SIGTERM)
        listening.communicate(timeout=10)
    shown = block("text", behind="Server-Sent Events").splitlines()
    assert [of_line(line) for line in got] == [of_line(line) for line in shown]
    assert f"id: {seq}" in got


def of_line(line: str) -> Any:
    if line.startswith("data: "):
        return shape(json.loads(line.removeprefix("data: ")))
    return re.sub(r"\d+", "N", line)
