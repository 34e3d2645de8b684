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
from collections.abc import Sequence
from functools import partial

import psycopg
import structlog
from psycopg.pq.abc import PGresult

from events import announce, ingest, log, overdrawn
from events.commands import Command, Outcome, stored
from events.draft import Answer, Draft, Questions, Request
from events.group import Group
from events.outlook import Outlook
from flux_project import bugs, looped, metrics, pipeline
from flux_project.database import BY_KEY, DatabaseUnavailable, Session
from flux_project.errors import FluxError
from flux_project.gather import Bounds, Gatherer, Overloaded
from flux_project.looped import LoopConnection, Refused
from namespaces import limits
from state import store

# A request with more commands would hold up the loop for milliseconds.
MOST_COMMANDS = 2_000
# After another process has written, reading first is cheaper than guessing wrong.
CAREFUL_SECONDS = 0.1

# Why a commit failed, where that is no error: another process has written meanwhile.
OUTDATED = "outdated"

logger = structlog.get_logger(__name__)


class GroupedCommits:
    """One loop's writes, at most two transactions under way. Not for other threads.

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
            name=ingest.COMMITTER,
            statements=[*log.STATEMENTS, *store.STATEMENTS, *limits.STATEMENTS],
            answer_seconds=pipeline.ANSWER_SECONDS,
        )
        self._outlook: Outlook | None = None
        self._draft: Draft | None = None
        self._waiting: deque[Request] = deque()
        self._waiting_bytes = 0
        self._commits = 0  # under way
        self._is_asking = False
        self._is_scheduled = False
        self._careful_until = 0.0
        self._passed_on: list[Request] = []
        self._looking_up: set[asyncio.Future[list[Outcome]]] = set()

    def submit(self, commands: Sequence[Command], answer: Answer, *, size: int) -> None:
        """Stores what the commands say; `answer` is called once, later.

        Raises Overloaded or ShuttingDown, and then `answer` is never called.
        """
        refused = overdrawn.outcomes(commands)
        if refused is not None:
            self._loop.call_soon(answer, refused)
            return
        is_large = len(commands) > MOST_COMMANDS or size > self._bounds.group_bytes
        if is_large or self._loop.time() < self._careful_until:
            self._committer.submit(
                commands, answer, size=size, items=len(commands), loop=self._loop
            )
            return
        waiting = self._waiting_bytes
        if waiting and waiting + size > self._bounds.waiting_bytes:
            raise Overloaded
        self._waiting_bytes = waiting + size
        self._sort(Request(commands, answer, size))
        if self._draft and self._draft.is_full:
            self._begin()
        if not (self._is_scheduled or self._commits or self._is_asking):
            # On the loop's next round: until then more requests arrive and go along.
            self._is_scheduled = True
            self._loop.call_soon(self._begin_scheduled)

    def close(self) -> None:
        """Ends the connection; what is under way is looked up."""
        self._line.close()

    def _sort(self, request: Request) -> None:
        """Decides a request now if that is possible, else leaves it to be asked for."""
        draft = self._draft
        if draft is None or not (
            draft.has_room(request, self._bounds) and self._take(draft, request)
        ):
            self._waiting.append(request)

    def _take(self, draft: Draft, request: Request) -> bool:
        try:
            return draft.take(request)
        except Exception:
            # A bug: the draft may be half done, and this request is not to be in it.
            logger.exception("not_decided")
            self._give_up([])
            return False

    def _begin_scheduled(self) -> None:
        self._is_scheduled = False
        self._begin()

    def _begin(self) -> None:
        """Sends the draft, and asks what those that wait need to be decided."""
        draft, outlook = self._draft, self._outlook
        if draft and outlook and self._may_go(draft, outlook):
            self._send(draft, outlook)
        if self._waiting and not self._is_asking:
            questions = self._next_questions()
            try:
                calls = questions.calls()
            except Exception:
                # A bug: these are answered all the same, by the committer.
                logger.exception("not_asked")
                self._give_up(questions.requests)
                return
            self._is_asking = True
            self._line.exchange(calls, partial(self._told, questions))

    def _send(self, draft: Draft, outlook: Outlook) -> None:
        self._waiting_bytes -= draft.size
        try:
            calls = draft.calls()
            outlook.follow(draft.group)
        except Exception:  # noqa: BLE001  a bug must be answered
            self._draft = None
            self._give_up([])
            draft.refuse(bugs.of_group())
            return
        self._commits += 1
        draft.sent_at = self._loop.time()
        self._draft = Draft(outlook)
        self._line.exchange(calls, partial(self._committed, draft))

    def _may_go(self, draft: Draft, outlook: Outlook) -> bool:
        """Whether a draft is sent now.

        A full one goes behind the one under way, so that PostgreSQL need not wait for
        this loop in between, unless the log's end there could be mistaken for another.
        """
        if self._commits == 0:
            return bool(draft.requests)
        return self._commits == 1 and draft.is_full and outlook.is_unique

    def _next_questions(self) -> Questions:
        asking: list[Request] = []
        commands: list[Command] = []
        while self._waiting and len(commands) < self._bounds.group_items:
            request = self._waiting.popleft()
            self._waiting_bytes -= request.size
            asking.append(request)
            commands += request.commands
        about = ingest.mentioned(commands)
        outlook = self._outlook
        if outlook is not None:
            outlook.forget(about.ids)
        return Questions(outlook, asking, about)

    def _told(self, questions: Questions, outcome: looped.Outcome) -> None:
        """Decides the requests that asked, from what the database answered."""
        self._is_asking = False
        if isinstance(outcome, DatabaseUnavailable):
            self._give_up([])
            for request in questions.requests:
                request.tell(outcome)
        elif not isinstance(outcome, list) or questions.outlook is not self._outlook:
            self._give_up(questions.requests)
        else:
            self._learn(questions, outcome)
        self._begin()

    def _learn(self, questions: Questions, answers: Sequence[PGresult]) -> None:
        outlook = self._outlook
        try:
            if outlook is None:
                self._outlook = outlook = Outlook(log.head(answers[0]))
                self._draft = Draft(outlook)
            questions.teach(outlook, answers)
        except Exception:
            # Whatever this is no log of Flux: the committer says so.
            logger.exception("not_learnt")
            self._give_up(questions.requests)
            return
        doubtful = [one for one in questions.requests if not self._decide(one)]
        if doubtful:
            # What the committer makes of these is not in this outlook.
            self._give_up(doubtful)

    def _decide(self, request: Request) -> bool:
        """With all known that was asked for; False if it is in doubt all the same."""
        draft = self._draft
        if draft is None or not draft.has_room(request, self._bounds):
            self._waiting.append(request)
        elif not self._take(draft, request):
            return False
        self._waiting_bytes += request.size
        return True

    def _committed(self, draft: Draft, outcome: looped.Outcome) -> None:
        self._commits -= 1
        if isinstance(outcome, list):
            # The next one first: PostgreSQL works while these are answered.
            try:
                draft.settle(outcome)
                self._begin()
            finally:
                seconds = self._loop.time() - draft.sent_at
                metrics.committed(events=len(draft.group.events), seconds=seconds)
                draft.answer(draft.group.outcomes)
                self._announce(draft, outcome)
        else:
            self._failed(draft, outcome)
            self._begin()
        self._pass_on()

    def _announce(self, draft: Draft, answers: Sequence[PGresult]) -> None:
        committed = draft.committed(answers)
        if committed is not None:
            announce.tell(self._loop, committed)

    def _failed(self, draft: Draft, error: psycopg.Error | DatabaseUnavailable) -> None:
        state = getattr(error, "sqlstate", None) or ""
        if isinstance(error, Refused) and (
            state == log.OTHERWISE or state[:2] in ingest.POISON
        ):
            is_outdated = state == log.OTHERWISE
            reason = OUTDATED if is_outdated else ingest.RefusedByDatabase.code
            metrics.COMMIT_FAILURES.labels(reason).inc()
            self._give_up(draft.requests)
            return
        metrics.COMMIT_FAILURES.labels(DatabaseUnavailable.code).inc()
        logger.warning("commit_failed", sqlstate=state, error=str(error).strip())
        self._give_up([])
        if isinstance(error, psycopg.OperationalError) and draft.group.events:
            self._look_up(draft, error)
        else:
            draft.refuse(DatabaseUnavailable())

    def _give_up(self, requests: Sequence[Request]) -> None:
        """The outlook is wrong: the committer decides these, and what followed them."""
        draft, self._draft, self._outlook = self._draft, None, None
        self._careful_until = self._loop.time() + CAREFUL_SECONDS
        followed = draft.requests if draft is not None else []
        for request in followed:
            self._waiting_bytes -= request.size
        self._passed_on += [*requests, *followed]
        self._pass_on()

    def _pass_on(self) -> None:
        """Hands over what was given up, once nothing is under way.

        A commit that was sent behind a failed one expects the log to end with that
        one's last event, which it would, if the committer stored it meanwhile.
        """
        if self._commits:
            return
        given_up, self._passed_on = self._passed_on, []
        for request in given_up:
            try:
                self._committer.submit(
                    request.commands,
                    request.answer,
                    size=request.size,
                    items=len(request.commands),
                    loop=self._loop,
                )
            except FluxError as error:
                request.tell(error)

    def _look_up(self, draft: Draft, error: psycopg.OperationalError) -> None:
        """Finds out on a thread whether a draft was committed, then answers."""

        def found(future: "asyncio.Future[list[Outcome]]") -> None:
            self._looking_up.discard(future)
            failure = future.exception()
            if failure is None:
                metrics.EVENTS_COMMITTED.inc(stored(future.result()))
                draft.answer(future.result())
            else:
                is_ours = isinstance(failure, FluxError)
                draft.refuse(failure if is_ours else ingest.OutcomeUnknown())  # type: ignore[arg-type]  # by is_ours

        backend_pid = self._line.backend_pid
        future = self._loop.run_in_executor(
            None, _settled, draft.group, error, backend_pid
        )
        self._looking_up.add(future)
        future.add_done_callback(found)


def _settled(
    group: Group, error: psycopg.OperationalError, backend_pid: int
) -> list[Outcome]:
    session = Session(name="flux look-up", extra=BY_KEY)
    try:
        return ingest.look_up(session, group, error, backend_pid=backend_pid)
    finally:
        session.drop()
