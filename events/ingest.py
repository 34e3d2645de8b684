"""The transaction: many callers' commands, one commit.

Invariant: after `commit_group` returns, everything it answered as stored is on disk,
and the state, counters and known ids that follow from it were committed with it; if it
raises, nothing of the group was.
"""

import time
from collections.abc import Callable, Iterable, Sequence

import msgspec
import psycopg
import structlog
from django.db import connections
from msgspec import Struct
from psycopg import Connection
from psycopg.pq.abc import PGresult
from psycopg.rows import TupleRow

from events import announce, log
from events.announce import Committed
from events.commands import Append, Command, Delete, Outcome, Stored
from events.group import Group
from flux_project import pipeline
from flux_project.database import DatabaseUnavailable, Session, ThreadSessions
from flux_project.errors import FluxError, Invalid, Unavailable
from namespaces import levels, limits
from namespaces.bucket import Level
from namespaces.ledger import Ledger
from namespaces.registry import registry
from state import store

LOOK_UP_SECONDS = 5
END_MS = 1_000
# What a loop's committer is called in pg_stat_activity.
COMMITTER = "flux committer"
# What PostgreSQL blames on a value: data exceptions, integrity, program limits.
POISON = {"22", "23", "54"}

# What follows a group's own calls.
_BEHIND = (log.NOTIFY, pipeline.COMMIT)

Also = Callable[[Connection[TupleRow]], None]

logger = structlog.get_logger(__name__)
_threads = ThreadSessions(name="flux ingest")


class OutcomeUnknown(Unavailable):
    """The database went away during the commit: whether this was stored is not known.
    Send it again with an eventId, which is stored once however often it arrives."""

    code = "outcome_unknown"


class RefusedByDatabase(Invalid):
    """PostgreSQL refused a value of this event."""

    code = "refused_by_database"


def commit(commands: Sequence[Command], *, also: Also | None = None) -> list[Outcome]:
    """Commits `commands` as one group on this thread's own connection.

    For management commands, jobs and tests; servers go through the committer. `also`
    runs last in the same transaction. Raises Unavailable; RuntimeError inside another
    transaction, which could still roll back what this one made permanent.
    """
    if connections["default"].in_atomic_block:
        message = (
            "ingest.commit opens a transaction of its own: call it outside of one."
        )
        raise RuntimeError(message)
    return commit_group(_threads.session, commands, also=also)


def commit_group(
    session: Session, commands: Sequence[Command], *, also: Also | None = None
) -> list[Outcome]:
    """Commits a group; the answers stand in the order of `commands`.

    Raises Unavailable when nothing was stored, OutcomeUnknown when that is not known.
    """
    connection = session.connection()
    group = Group()
    try:
        return _attempt(connection, group, commands, also)
    except psycopg.Error as error:
        if (error.sqlstate or "")[:2] in POISON:
            connection.rollback()
            return _commit_around_poison(connection, commands, also)
        session.drop()
        logger.warning(
            "commit_failed", sqlstate=error.sqlstate, error=str(error).strip()
        )
        if group.events and isinstance(error, psycopg.OperationalError):
            return look_up(session, group, error)
        raise DatabaseUnavailable from error
    except BaseException:
        # A bug, or `also` failing: the transaction must not stay open.
        session.drop()
        raise


def _attempt(
    connection: Connection[TupleRow],
    group: Group,
    commands: Sequence[Command],
    also: Also | None,
) -> list[Outcome]:
    """The usual way: two round trips, one that reads, one that writes and commits."""
    _read(connection, group, commands, before=(pipeline.BEGIN, log.LOCK))
    outcomes = [group.decide(connection, command) for command in commands]
    if also is not None:
        pipeline.run(connection, _writes(group))
        also(connection)
        pipeline.run(connection, [pipeline.COMMIT])
    elif group.events:
        answers = pipeline.run(connection, [*_writes(group), pipeline.COMMIT])
        at = log.recorded_at(answers[0])
        group.spent(answers[: -len(_BEHIND)])
        announce.tell_all(Committed(group.first_seq, at, group.events))
    else:
        pipeline.run(connection, [pipeline.ROLLBACK])
    levels.count_refusals(group.ledger.refused)
    return outcomes


def _read(
    connection: Connection[TupleRow],
    group: Group,
    commands: Iterable[Command],
    *,
    before: Sequence[pipeline.Call] = (),
) -> None:
    """Reads all that the group is about; the lock is held, or `before` takes it."""
    about = mentioned(commands)
    calls = [*before, log.HEAD, *about.calls()]
    answers = pipeline.run(connection, calls)[len(before) :]
    head = log.head(answers[0])
    if about.namespaces and head.registry_version != registry.version:
        registry.refresh(connection)
    found = about.found(answers[1:])
    levels.learn(found.levels)
    group.start(
        head,
        known=dict(found.known),
        standing=found.standing,
        ledger=Ledger(found.levels),
    )


class Found(Struct, frozen=True):
    """What the database said of what commands are about.

    standing: (version, size) by entity id; known: (seq, stream) by digest of a
    client-given id; levels: what namespaces have spent.
    """

    standing: dict[str, tuple[int, int]]
    known: dict[bytes, tuple[int, str]]
    levels: dict[str, Level]


class About(Struct, frozen=True):
    """What commands are about: entities, digests of client-given ids, and the
    namespaces of their tokens."""

    ids: list[str]
    digests: list[bytes]
    namespaces: list[str]

    def calls(self) -> list[pipeline.Call]:
        """Asks for all of it; `found` reads the answers."""
        calls = [store.ask_standing(self.ids)]
        if self.digests:
            calls.append(log.ask_known(self.digests))
        if self.namespaces:
            calls.append(limits.ask(self.namespaces))
        return calls

    def found(self, answers: Sequence[PGresult]) -> Found:
        return Found(
            standing=store.standing(answers[0]),
            known=log.known(answers[1]) if self.digests else {},
            levels=(
                limits.read(answers[-1], self.namespaces) if self.namespaces else {}
            ),
        )


def mentioned(commands: Iterable[Command]) -> About:
    """What commands are about."""
    ids: dict[str, None] = {}
    digests: list[bytes] = []
    namespaces: dict[str, None] = {}
    for command in commands:
        if command.grant is not None:
            namespaces[command.grant.namespace] = None
        if isinstance(command, Append):
            ids[command.event.entity_id] = None
            if command.event.digest:
                digests.append(command.event.digest)
        elif isinstance(command, Delete):
            ids[command.entity_id] = None
        else:
            ids.update(dict.fromkeys(command.selection.ids or ()))
    return About(list(ids), digests, list(namespaces))


def _commit_around_poison(
    connection: Connection[TupleRow], commands: Sequence[Command], also: Also | None
) -> list[Outcome]:
    """Stores what can be stored, though PostgreSQL refuses some value among it.

    One transaction still, so a request's events commit together; the savepoints narrow
    the fault down to the commands that carry it, which are refused alone.
    """
    try:
        with connection.transaction():
            pipeline.run(connection, [log.LOCK])
            outcomes = _bisect(connection, commands)
            if also is not None:
                also(connection)
    except psycopg.OperationalError as error:
        raise OutcomeUnknown from error
    return outcomes


def _bisect(
    connection: Connection[TupleRow], commands: Sequence[Command]
) -> list[Outcome]:
    try:
        with connection.transaction():
            return _store_now(connection, commands)
    except psycopg.Error as error:
        if (error.sqlstate or "")[:2] not in POISON:
            raise
        if len(commands) == 1:
            logger.warning("refused_by_database", sqlstate=error.sqlstate)
            return [RefusedByDatabase()]
    half = len(commands) // 2
    left = _bisect(connection, commands[:half])
    return left + _bisect(connection, commands[half:])


def _store_now(
    connection: Connection[TupleRow], commands: Sequence[Command]
) -> list[Outcome]:
    """Decides and writes inside the caller's transaction, which holds the lock."""
    group = Group()
    _read(connection, group, commands)
    outcomes = [group.decide(connection, command) for command in commands]
    pipeline.run(connection, _writes(group))
    levels.count_refusals(group.ledger.refused)
    return outcomes


def _writes(group: Group) -> list[pipeline.Call]:
    """What writes a group, and wakes the feeds of all processes when it commits."""
    return [*group.writes(), *_BEHIND[:-1]] if group.events else []


def look_up(
    session: Session,
    group: Group,
    error: psycopg.OperationalError,
    *,
    backend_pid: int = 0,
) -> list[Outcome]:
    """The connection broke while committing: finds out what became of the group.

    Raises DatabaseUnavailable when nothing of it was stored, OutcomeUnknown.

    The old transaction holds the log's lock until it has ended, one way or the other;
    with the lock in hand the proposed places tell which. Where it was sent in one go,
    its backend may not even have read that it is to take the lock: `backend_pid` names
    it, and it is ended first. An event whose id is ours is nobody else's. Where all ids
    are the clients', another process may have stored the same events in the same
    places, as they were sent again: then they are duplicates.
    """
    logger.warning("commit_interrupted", first_seq=group.first_seq)
    until = time.monotonic() + LOOK_UP_SECONDS
    while True:
        is_committed = _verdict(session, group, backend_pid)
        if is_committed:
            is_ours = any(event.digest is None for event in group.events)
            return group.outcomes if is_ours else _known_already(group.outcomes)
        if is_committed is False:
            raise DatabaseUnavailable from error
        if time.monotonic() > until:
            raise OutcomeUnknown from error
        time.sleep(0.1)


def _verdict(session: Session, group: Group, backend_pid: int) -> bool | None:
    """Whether a group was committed; None while that cannot be told."""
    try:
        if backend_pid and not _is_gone(session, backend_pid):
            return None
        return _is_committed(session, group)
    except (psycopg.Error, FluxError):
        session.drop()
        return None


def _is_gone(session: Session, backend_pid: int) -> bool:
    """Ends a committer's backend, and waits a moment for its end."""
    rows = session.connection().execute(
        "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity"
        " WHERE pid = %s AND application_name = %s",
        (END_MS, backend_pid, COMMITTER),
    )
    return all(is_gone for (is_gone,) in rows)


def _is_committed(session: Session, group: Group) -> bool:
    connection = session.connection()
    pipeline.run(connection, [pipeline.BEGIN, log.LOCK])
    stored = log.is_stored(connection, group.events, first_seq=group.first_seq)
    pipeline.run(connection, [pipeline.ROLLBACK])
    return stored


def _known_already(outcomes: Iterable[Outcome]) -> list[Outcome]:
    return [
        msgspec.structs.replace(outcome, is_duplicate=True)
        if isinstance(outcome, Stored)
        else outcome
        for outcome in outcomes
    ]
