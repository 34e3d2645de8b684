"""The log of a server that was started with FLUX_LOG_FORMAT=json.

Invariant: each of its lines was one JSON object with what every line has.
"""

import json
from typing import Any

from tests.support.servers import Server, wait_for

Line = dict[str, Any]
SETTINGS = {"FLUX_LOG_FORMAT": "json"}
_EVERY = {"timestamp", "level", "logger", "process", "event"}


def read(server: Server) -> list[Line]:
    found: list[Line] = []
    for text in server.log.read_text().splitlines():
        line = json.loads(text)
        assert line.keys() >= _EVERY, line
        assert line["process"] == server.process.pid
        found.append(line)
    return found


def of_request(server: Server, request_id: str, event: str = "refused") -> list[Line]:
    """The lines with this id, once one of this event is there."""

    def found() -> list[Line]:
        return [one for one in read(server) if one.get("request_id") == request_id]

    wait_for(
        lambda: any(one["event"] == event for one in found()),
        what=f"{event} of {request_id}",
        seconds=20,
    )
    return found()
