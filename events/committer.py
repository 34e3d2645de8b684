"""The process's committer: every write of a server goes through this one thread.

While one transaction is on its way the next callers gather, and go in one. Invariant:
the commands of one request are neighbours in one group, so they commit together.
"""

from collections.abc import Sequence

from events import ingest
from events.commands import Command, Outcome
from flux_project.database import BY_KEY, Session
from flux_project.gather import Bounds, Gatherer

BOUNDS = Bounds(group_items=5_000, group_bytes=16 << 20, waiting_bytes=64 << 20)

_session = Session(name="flux committer", extra=BY_KEY)


def _serve(requests: Sequence[Sequence[Command]]) -> list[list[Outcome]]:
    commands = [command for request in requests for command in request]
    outcomes = iter(ingest.commit_group(_session, commands))
    return [[next(outcomes) for _ in request] for request in requests]


gatherer: Gatherer[Sequence[Command], list[Outcome]] = Gatherer(
    "flux-committer", _serve, BOUNDS
)
