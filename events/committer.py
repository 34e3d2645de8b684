"""The process's committer: every write of a server goes through here.

While one transaction is on its way the next callers gather, and go in one. Requests of
an event loop gather on the loop itself; those of threads, and what the loop cannot
decide, on a thread. Both take the log's lock, so they are like two processes to each
other. Invariant: the commands of one request are neighbours in one group, so they
commit together.
"""

import asyncio
import time
from collections.abc import Sequence

from events import ingest
from events.commands import Command, Outcome, stored
from events.draft import Answer
from events.grouped import GroupedCommits
from flux_project import metrics
from flux_project.database import BY_KEY, Session
from flux_project.errors import FluxError
from flux_project.gather import Bounds, Gatherer, ShuttingDown

BOUNDS = Bounds(group_items=5_000, group_bytes=16 << 20, waiting_bytes=64 << 20)

_session = Session(name="flux careful committer", extra=BY_KEY)


def _serve(requests: Sequence[Sequence[Command]]) -> list[list[Outcome]]:
    commands = [command for request in requests for command in request]
    outcomes = iter(_commit(commands))
    return [[next(outcomes) for _ in request] for request in requests]


def _commit(commands: Sequence[Command]) -> list[Outcome]:
    begun = time.perf_counter()
    try:
        outcomes = ingest.commit_group(_session, commands)
    except Exception as error:
        code = error.code if isinstance(error, FluxError) else FluxError.code
        metrics.COMMIT_FAILURES.labels(code).inc()
        raise
    seconds = time.perf_counter() - begun
    metrics.committed(events=stored(outcomes), seconds=seconds, is_careful=True)
    return outcomes


_thread: Gatherer[Sequence[Command], list[Outcome]] = Gatherer(
    "flux-committer", _serve, BOUNDS
)
_on_loops: dict[asyncio.AbstractEventLoop, GroupedCommits] = {}


def submit(
    loop: asyncio.AbstractEventLoop,
    commands: Sequence[Command],
    answer: Answer,
    *,
    size: int,
) -> None:
    """Commits the commands of a request of this loop, which calls `answer` once.

    Raises Overloaded or ShuttingDown, and then `answer` is never called.
    """
    if _thread.is_stopped:
        raise ShuttingDown
    commits = _on_loops.get(loop)
    if commits is None:
        commits = _on_loops[loop] = GroupedCommits(loop, _thread, BOUNDS)
    commits.submit(commands, answer, size=size)


def call(commands: Sequence[Command], *, size: int) -> list[Outcome]:
    """The same for a thread, which waits. Raises Unavailable."""
    return _thread.call(commands, size=size, items=len(commands))


def stop() -> None:
    """Commits what waits on the thread and ends it. Later requests are refused."""
    _thread.stop()
