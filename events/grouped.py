"""Writes, gathered on the event loop: what waits is one transaction, one round trip.

While a group is on its way to PostgreSQL the next one is decided, from the outlook:
what this process knows of the log, which the commit checks under the log's lock. Where
the outlook was wrong (another process has written), or a command needs more than it
says, the committer's thread takes over, which reads under the lock and then decides.
Nothing is stored on a guess. Invariant: every request that `submit` took is answered
once.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import psycopg
import structlog
from msgspec import Struct
from psycopg.pq.abc import PGresult

from events import ingest, log
from events.commands import Append, Command, Outcome
from events.group import Group
from events.outlook import Outlook
from flux_project import looped, pipeline
from flux_project.database import BY_KEY, DatabaseUnavailable, Session
from flux_project.errors import FluxError
from flux_project.gather import Bounds, Gatherer, Overloaded
from flux_project.looped import LoopConnection, Refused
from flux_project.pipeline import Call
from state import store

# A request with more commands would hold up the loop for milliseconds.
MOST_COMMANDS = 2_000
# After another process has written, reading first is cheaper than guessing wrong.
CAREFUL_SECONDS = 0.1
# So many requests, or commands, are worth a commit of their own.
FULL_REQUESTS = 48
FULL_COMMANDS = 2_000

logger = structlog.get_logger(__name__)
Answer = Callable[[list[Outcome] | FluxError], None]


class _Request(Struct):
    commands: Sequence[Command]
    answer: Answer
    size: int


class _Draft:
    """A group and the requests whose commands it is made of, in order."""

    def __init__(self, outlook: Outlook) -> None:
        self.head = outlook.head
        self.group: Group = outlook.group()
        self.requests: list[_Request] = []
        self.size = 0

    def has_room(self, request: _Request, bounds: Bounds) -> bool:
        """Whether the request fits; a large one goes alone."""
        items = len(self.group.outcomes) + len(request.commands)
        size = self.size + request.size
        fits = items <= bounds.group_items and size <= bounds.group_bytes
        return fits or not self.requests

    def take(self, request: _Request) -> bool:
        """Takes a request if it can be decided from what is known."""
        if self.group.decide_plain(request.commands) is None:
            return False
        self.requests.append(request)
        self.size += request.size
        return True

    def answer(self, outcomes: Sequence[Outcome]) -> None:
        """Tells each request its part of the outcomes."""
        end = 0
        for request in self.requests:
            start, end = end, end + len(request.commands)
            _tell(request, list(outcomes[start:end]))

    def refuse(self, error: FluxError) -> None:
        for request in self.requests:
            _tell(request, error)

    @property
    def is_full(self) -> bool:
        """Whether it is worth a commit of its own: the next one costs little more."""
        commands = len(self.group.outcomes)
        return len(self.requests) >= FULL_REQUESTS or commands >= FULL_COMMANDS

    def calls(self) -> list[Call]:
        """The whole transaction."""
        return [log.LOCK, log.expect(self.head), *self.group.writes()]


class _Questions(Struct):
    """Requests that wait to be decided, and what they are about.

    outlook: what was expected when the questions were asked.
    """

    outlook: Outlook | None
    requests: list[_Request]
    ids: list[str]
    digests: list[bytes]

    def calls(self) -> list[Call]:
        # The head first: should another process commit in between, the standing is
        # newer than the head, and the commit finds the outlook wrong.
        calls = [log.HEAD, store.ask_standing(self.ids)]
        if self.digests:
            calls.append(log.ask_known(self.digests))
        return calls


class GroupedCommits:
    """One loop's writes, one exchange under way at a time. Not for other threads.

    committer: takes what cannot be decided here.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        committer: Gatherer[Sequence[Command], list[Outcome]],
        bounds: Bounds,
    ) -> None:
        self._loop = loop
        self._committer = committer
        self._bounds = bounds
        self._line = LoopConnection(
            loop,
            name="flux committer",
            statements=[*log.STATEMENTS, *store.STATEMENTS],
            answer_seconds=pipeline.ANSWER_SECONDS,
        )
        self._outlook: Outlook | None = None
        self._draft: _Draft | None = None
        self._waiting: deque[_Request] = deque()
        self._waiting_bytes = 0
        self._commits = 0  # under way
        self._is_asking = False
        self._is_scheduled = False
        self._careful_until = 0.0
        self._looking_up: set[asyncio.Future[list[Outcome]]] = set()

    def submit(self, commands: Sequence[Command], answer: Answer, *, size: int) -> None:
        """Stores what the commands say; `answer` is called once, later.

        Raises Overloaded or ShuttingDown, and then `answer` is never called.
        """
        is_large = len(commands) > MOST_COMMANDS
        if is_large or self._loop.time() < self._careful_until:
            self._committer.submit(
                commands, answer, size=size, items=len(commands), loop=self._loop
            )
            return
        waiting = self._waiting_bytes
        if waiting and waiting + size > self._bounds.waiting_bytes:
            raise Overloaded
        self._waiting_bytes = waiting + size
        self._sort(_Request(commands, answer, size))
        if self._draft and self._draft.is_full:
            self._begin()
        if not (self._is_scheduled or self._commits or self._is_asking):
            # On the loop's next round: until then more requests arrive and go along.
            self._is_scheduled = True
            self._loop.call_soon(self._begin_scheduled)

    def close(self) -> None:
        """Ends the connection; what is under way is looked up."""
        self._line.close()

    def _sort(self, request: _Request) -> None:
        """Decides a request now if that is possible, else leaves it to be asked for."""
        draft = self._draft
        if draft is None or not (
            draft.has_room(request, self._bounds) and draft.take(request)
        ):
            self._waiting.append(request)

    def _begin_scheduled(self) -> None:
        self._is_scheduled = False
        self._begin()

    def _begin(self) -> None:
        """Sends the draft, and asks what those that wait need to be decided."""
        draft, outlook = self._draft, self._outlook
        if draft and outlook and self._may_go(draft, outlook):
            self._waiting_bytes -= draft.size
            self._commits += 1
            outlook.follow(draft.group)
            self._draft = _Draft(outlook)
            self._line.exchange(draft.calls(), partial(self._committed, draft))
        if self._waiting and not self._is_asking:
            self._is_asking = True
            questions = self._next_questions()
            self._line.exchange(questions.calls(), partial(self._told, questions))

    def _may_go(self, draft: _Draft, outlook: Outlook) -> bool:
        """Whether a draft is sent now.

        A full one goes behind the one under way, so that PostgreSQL need not wait for
        this loop in between, unless the log's end there could be mistaken for another.
        """
        if self._commits == 0:
            return bool(draft.requests)
        return self._commits == 1 and draft.is_full and outlook.is_unique

    def _next_questions(self) -> _Questions:
        asking: list[_Request] = []
        ids: dict[str, None] = {}
        digests: list[bytes] = []
        items = 0
        while self._waiting and items < self._bounds.group_items:
            request = self._waiting.popleft()
            self._waiting_bytes -= request.size
            asking.append(request)
            items += len(request.commands)
            for command in request.commands:
                if isinstance(command, Append):
                    ids[command.event.entity_id] = None
                    if command.event.digest is not None:
                        digests.append(command.event.digest)
        outlook = self._outlook
        if outlook is not None:
            outlook.forget(ids)
        return _Questions(outlook, asking, list(ids), digests)

    def _told(self, questions: _Questions, outcome: looped.Outcome) -> None:
        """Decides the requests that asked, from what the database answered."""
        self._is_asking = False
        if isinstance(outcome, DatabaseUnavailable):
            self._give_up([])
            for request in questions.requests:
                _tell(request, outcome)
        elif not isinstance(outcome, list) or questions.outlook is not self._outlook:
            self._give_up(questions.requests)
        else:
            self._learn(questions, outcome)
        self._begin()

    def _learn(self, questions: _Questions, answers: Sequence[PGresult]) -> None:
        outlook = self._outlook
        if outlook is None:
            self._outlook = outlook = Outlook(log.head(answers[0]))
            self._draft = _Draft(outlook)
        outlook.learn_standing(questions.ids, store.standing(answers[1]))
        if questions.digests:
            outlook.learn_known(questions.digests, log.known(answers[2]))
        doubtful = [one for one in questions.requests if not self._decide(one)]
        if doubtful:
            # What the committer makes of these is not in this outlook.
            self._give_up(doubtful)

    def _decide(self, request: _Request) -> bool:
        """With all known that was asked for; False if it is in doubt all the same."""
        draft = self._draft
        if draft is None or not draft.has_room(request, self._bounds):
            self._waiting.append(request)
        elif not draft.take(request):
            return False
        self._waiting_bytes += request.size
        return True

    def _committed(self, draft: _Draft, outcome: looped.Outcome) -> None:
        self._commits -= 1
        if isinstance(outcome, list):
            # The next one first: PostgreSQL works while these are answered.
            self._begin()
            draft.answer(draft.group.outcomes)
        else:
            self._failed(draft, outcome)
            self._begin()

    def _failed(
        self, draft: _Draft, error: psycopg.Error | DatabaseUnavailable
    ) -> None:
        state = getattr(error, "sqlstate", None) or ""
        if isinstance(error, Refused) and (
            state == log.OTHERWISE or state[:2] in ingest.POISON
        ):
            self._give_up(draft.requests)
            return
        logger.warning("commit_failed", sqlstate=state, error=str(error).strip())
        self._give_up([])
        if isinstance(error, psycopg.OperationalError) and draft.group.events:
            self._look_up(draft, error)
        else:
            draft.refuse(DatabaseUnavailable())

    def _give_up(self, requests: Sequence[_Request]) -> None:
        """The outlook is wrong: the committer decides these, and what followed them."""
        draft, self._draft, self._outlook = self._draft, None, None
        self._careful_until = self._loop.time() + CAREFUL_SECONDS
        followed = draft.requests if draft is not None else []
        for request in followed:
            self._waiting_bytes -= request.size
        for request in (*requests, *followed):
            self._pass_on(request)

    def _pass_on(self, request: _Request) -> None:
        try:
            self._committer.submit(
                request.commands,
                request.answer,
                size=request.size,
                items=len(request.commands),
                loop=self._loop,
            )
        except FluxError as error:
            _tell(request, error)

    def _look_up(self, draft: _Draft, error: psycopg.OperationalError) -> None:
        """Finds out on a thread whether a draft was committed, then answers."""

        def found(future: "asyncio.Future[list[Outcome]]") -> None:
            self._looking_up.discard(future)
            failure = future.exception()
            if failure is None:
                draft.answer(future.result())
            else:
                is_ours = isinstance(failure, FluxError)
                draft.refuse(failure if is_ours else ingest.OutcomeUnknown())  # type: ignore[arg-type]  # by is_ours

        future = self._loop.run_in_executor(None, _settled, draft.group, error)
        self._looking_up.add(future)
        future.add_done_callback(found)


def _settled(group: Group, error: psycopg.OperationalError) -> list[Outcome]:
    session = Session(name="flux look-up", extra=BY_KEY)
    try:
        return ingest.look_up(session, group, error)
    finally:
        session.drop()


def _tell(request: _Request, result: list[Outcome] | FluxError) -> None:
    try:
        request.answer(result)
    except Exception:
        # One request's bug must not keep the answers of its neighbours back.
        logger.exception("answer_failed")
