"""What a server process runs beside its requests, from its start to its end.

Invariant: `start` may be called often and works once; so it serves under uvicorn, which
has a lifespan, and under daphne, where the first request calls it.
"""

import threading
from collections.abc import Callable

import structlog
from psycopg import Connection
from psycopg.rows import TupleRow

from events import committer, usage
from flux_project import metrics
from flux_project.background import Repeater
from flux_project.database import Session
from namespaces import registry, stuck
from state import directory

logger = structlog.get_logger(__name__)

_lock = threading.Lock()
_repeaters: list[Repeater] = []


def start() -> None:
    """Reads the runtime config and starts the loops; a database away is no obstacle."""
    with _lock:
        if _repeaters:
            return
        _repeaters.append(_first(Repeater("flux-registry", 0, registry.keep_up)))
        _repeaters.append(
            _loop("flux-directory", directory.ROUND_SECONDS, directory.refresh)
        )
        _repeaters.append(_loop("flux-usage", usage.ROUND_SECONDS, _keep_count))
        _repeaters.append(
            Repeater("flux-metrics", metrics.FLUSH_SECONDS, metrics.flush)
        )
    for repeater in _repeaters:
        repeater.start()


def stop() -> None:
    """Ends the loops and answers what still waits for a commit."""
    for repeater in _repeaters:
        repeater.stop()
    committer.stop()
    metrics.flush()


def _keep_count(connection: Connection[TupleRow]) -> None:
    """One connection is enough for two that ask seldom."""
    usage.keep_up(connection)
    stuck.keep_up(connection)


def _loop(
    name: str, seconds: float, work: Callable[[Connection[TupleRow]], object]
) -> Repeater:
    session = Session(name=name)

    def round_() -> None:
        try:
            work(session.connection())
        except Exception:
            session.drop()
            raise

    return _first(Repeater(name, seconds, round_))


def _first(repeater: Repeater) -> Repeater:
    """Its first round, before the server serves."""
    try:
        repeater.round()
    except Exception as error:  # noqa: BLE001  the loop will try again
        logger.warning("first_round_failed", loop=repeater.name, error=str(error))
    return repeater
