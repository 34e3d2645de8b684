"""One request on the lane, as the protocol and uvicorn see it.

Invariant: an answer without an error costs it one number counted and one compared; the
id, the log and the headers of its request are looked at for errors alone.
"""

from collections.abc import Callable
from functools import cached_property
from typing import ClassVar

from events.endpoints import limited
from flux_project import bugs, metrics, refusals, request_ids
from flux_project.errors import FluxError
from flux_project.reply import Read, Reply, Write, identified, refusal
from namespaces.grants import Grant

Result = Reply | Write | Read
# The address of a request, and its headers.
Asked = tuple[bytes, dict[bytes, bytes]]


class _NoEvent:
    """Stands where uvicorn keeps an asyncio.Event that nobody on the lane awaits."""

    def set(self) -> None:
        """Nobody waits."""


class LaneCycle:
    """What uvicorn asks of its own cycle, this one has too.

    What most requests never change stands in the class: setting it costs each. answers:
    how many there were to all requests of this kind, by status.
    """

    answers: ClassVar[dict[int, int]]
    method: ClassVar[str] = "POST"
    body = b""
    disconnected = False
    granted = 0
    message_event = _NoEvent()
    refused: FluxError | None = None  # before its body is read
    grant: Grant | None = None
    more_body = True
    response_complete = False

    def __init__(
        self,
        asked: Asked,
        serve: Callable[..., Result],
        *,
        limit: int,
        keep_alive: bool,
    ) -> None:
        self.asked = asked
        self.serve = serve
        self.limit = limit
        self.keep_alive = keep_alive
        self.chunks: list[bytes] = []

    @cached_property
    def id(self) -> str:
        _, headers = self.asked
        return request_ids.choose(headers.get(request_ids.HEADER))

    def run(self, body: bytes) -> Result:
        """What its endpoint function makes of the body, and of the token if it has."""
        return self.serve(body) if self.grant is None else self.serve(body, self.grant)

    def refuse(self, error: FluxError | None = None) -> Reply:
        """The answer that names an error; without one, the bug being handled."""
        with request_ids.bound(self.id):
            return limited(refusal(error or bugs.of_request()), self.grant)

    def identify(self, reply: Reply) -> Reply:
        """Notes an error's answer in the log, and gives it the id."""
        address, _ = self.asked
        refusals.note(
            reply.status,
            reply.body,
            request_id=self.id,
            method=self.method,
            path=address,
        )
        return identified(reply, self.id)


class PublishCycle(LaneCycle):
    answers = metrics.Answers("/api/events", "POST").by_status


class BatchCycle(LaneCycle):
    answers = metrics.Answers("/api/events/batch", "POST").by_status


class ReadCycle(LaneCycle):
    answers = metrics.Answers("/api/state/entities/{entity_id}", "GET").by_status
    method = "GET"
