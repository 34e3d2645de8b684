"""Jobs that a worker had begun when it was killed: they are put back, to run again.

Invariant: a job of a worker that lives is not touched, whosever process that is; of
several workers that look at once, one puts a job back.
"""

from pathlib import Path

import structlog
from procrastinate import App

from flux_project import database

log = structlog.get_logger("flux.jobs")

HEARTBEAT_SECONDS = 10.0
# A worker whose last sign of life is older is taken for dead.
SILENT_SECONDS = 30.0
LOOK_SECONDS = 15.0
_PUT_BACK = database.statement(Path(__file__).parent / "sql" / "put_back.sql")


async def put_back(app: App, *, mine: int | None = None) -> None:
    """Puts back whatever there is. mine: the worker that asks, if it is at work."""
    while True:
        found = await app.connector.execute_query_all_async(
            _PUT_BACK, mine=mine, seconds=SILENT_SECONDS
        )
        if not found:
            return
        for row in found:
            log.warning("job_put_back", task=row["task_name"], job=row["id"])


async def release(app: App, workers: set[int]) -> None:
    """Workers of this process that ended while the database was away are no more."""
    while workers:
        worker = next(iter(workers))
        await app.job_manager.unregister_worker(worker)
        workers.remove(worker)
