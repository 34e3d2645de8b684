"""A group in the making, on an event loop: the requests it is made of, and its calls.

Invariant: a draft's calls store all of its events, or none and fail.
"""

from collections.abc import Callable, Sequence

import structlog
from msgspec import Struct
from psycopg.pq.abc import PGresult

from events import log
from events.announce import Committed
from events.commands import Command, Outcome
from events.group import Group
from events.ingest import About
from events.outlook import Outlook
from flux_project.errors import FluxError
from flux_project.gather import Bounds
from flux_project.pipeline import Call
from namespaces import levels

# So many requests, or commands, are worth a commit of their own.
FULL_REQUESTS = 48
FULL_COMMANDS = 2_000

logger = structlog.get_logger(__name__)
Answer = Callable[[list[Outcome] | FluxError], None]


class Request(Struct):
    """What one caller asks for, and how it is told. size: bytes, about."""

    commands: Sequence[Command]
    answer: Answer
    size: int

    def tell(self, result: list[Outcome] | FluxError) -> None:
        try:
            self.answer(result)
        except Exception:
            # One request's bug must not keep the answers of its neighbours back.
            logger.exception("answer_failed")


class Draft:
    """A group and the requests whose commands it is made of, in order."""

    sent_at = 0.0  # by the loop's clock

    def __init__(self, outlook: Outlook) -> None:
        self.outlook = outlook
        self.head = outlook.head
        self.group: Group = outlook.group()
        self.requests: list[Request] = []
        self.size = 0

    def has_room(self, request: Request, bounds: Bounds) -> bool:
        """Whether the request fits; a large one goes alone."""
        items = len(self.group.outcomes) + len(request.commands)
        size = self.size + request.size
        fits = items <= bounds.group_items and size <= bounds.group_bytes
        return fits or not self.requests

    def take(self, request: Request) -> bool:
        """Takes a request if it can be decided from what is known."""
        if self.group.decide_plain(request.commands) is None:
            return False
        self.requests.append(request)
        self.size += request.size
        return True

    def answer(self, outcomes: list[Outcome]) -> None:
        """Tells each request its part of the outcomes."""
        end = 0
        for request in self.requests:
            start, end = end, end + len(request.commands)
            request.tell(outcomes[start:end])

    def refuse(self, error: FluxError) -> None:
        for request in self.requests:
            request.tell(error)

    @property
    def is_full(self) -> bool:
        """Whether it is worth a commit of its own: the next one costs little more."""
        commands = len(self.group.outcomes)
        return len(self.requests) >= FULL_REQUESTS or commands >= FULL_COMMANDS

    def calls(self) -> list[Call]:
        """The whole transaction."""
        writes = self.group.writes(is_guess=True)
        return [log.LOCK, log.expect(self.head), *writes]

    def settle(self, answers: Sequence[PGresult]) -> None:
        """Takes from the answers to its calls what its namespaces have spent."""
        levels.count_refusals(self.group.ledger.refused)
        if self.group.ledger.spends:
            self.outlook.settle(self.group, self.group.spent(answers))

    def committed(self, answers: Sequence[PGresult]) -> Committed | None:
        """What the calls have stored, by their answers; None when it is nothing."""
        events = self.group.events
        if not events:
            return None
        return Committed(self.group.first_seq, log.recorded_at(answers[2]), events)


class Questions(Struct):
    """Requests that wait to be decided, and what they are about.

    outlook: what was expected when the questions were asked.
    """

    outlook: Outlook | None
    requests: list[Request]
    about: About

    def calls(self) -> list[Call]:
        # The head first: should another process commit in between, the standing is
        # newer than the head, and the commit finds the outlook wrong.
        return [log.HEAD, *self.about.calls()]

    def teach(self, outlook: Outlook, answers: Sequence[PGresult]) -> None:
        """Takes the answers over into an outlook."""
        found = self.about.found(answers[1:])
        outlook.learn_standing(self.about.ids, found.standing)
        outlook.learn_known(self.about.digests, found.known)
        outlook.learn_levels(found.levels)
