"""Does the jobs that wait in the database, in this process, until it is asked to end.

Invariant: it outlives every absence of the database; and a job that was begun and whose
end is not in the database is done again, whatever it was that came between.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from datetime import datetime

import psycopg
import structlog
from asgiref.sync import sync_to_async
from django.db import close_old_connections
from procrastinate import App, PsycopgConnector
from procrastinate.app import WorkerOptions
from procrastinate.contrib.django import app as django_app
from procrastinate.contrib.django import connector_params
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager
from procrastinate.worker import Worker

from flux_project import database, job_lines, stalled

log = structlog.get_logger("flux.jobs")

CONCURRENCY = 4  # jobs at once, each on a thread with a connection of Django's
POOL_SIZE = 2  # procrastinate's own, beside one that listens
ANSWER_SECONDS = 5.0
JOBS_END_SECONDS = 2.0
# Then the process ends, whatever job goes on; the supervisor waits a little longer.
BREAK_OFF_SECONDS = 2.4
LEAVE_SECONDS = 0.4
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
STEADY_SECONDS = 60.0  # longer than it takes to find out that nobody answers


class Lost(Exception):
    """The database did not take what the worker had to tell it."""


_AWAY = (Lost, ConnectorException, psycopg.Error)


class Manager(JobManager):
    """Sees to it that each job that was begun has an end in the database.

    procrastinate forgets an end that the database did not take: the job would be under
    way for ever, in the eyes of all, as its worker lives.
    """

    def __init__(self, connector: PsycopgConnector) -> None:
        super().__init__(connector)
        self._failed = asyncio.Event()

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:  # noqa: FBT001  procrastinate's signature
        with self._noting():
            await super().finish_job(job, status, delete_job)

    async def retry_job(
        self,
        job: Job,
        retry_at: datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        lock: str | None = None,
    ) -> None:
        with self._noting():
            try:
                await super().retry_job(job, retry_at, priority, queue, lock)
            except UniqueViolation:
                # Another job with its queueing lock waits, and will do the same.
                await super().finish_job(job, Status.ABORTED, delete_job=True)

    async def failure(self) -> None:
        """Waits for one and raises Lost."""
        await self._failed.wait()
        raise Lost(Lost.__doc__)

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except ConnectorException:
            self._failed.set()
            raise


class JobWorker:
    """One process's. `ready` is called once it can do jobs for the first time."""

    def __init__(self, ready: Callable[[], None] = lambda: None) -> None:
        self._ready: Callable[[], None] | None = ready
        self._wish = asyncio.Event()
        self._now: Worker | None = None
        self._left: set[int] = set()  # its former selves that the database still knows
        self._pause = FIRST_PAUSE_SECONDS

    def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._wish.set)
        wish = asyncio.create_task(self._wish.wait())
        while not self._wish.is_set():
            working = asyncio.create_task(self._work_and_tell())
            await asyncio.wait({wish, working}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
            else:
                await self._end(working)

    async def _end(self, working: asyncio.Task[None]) -> None:
        breaking_off = asyncio.create_task(self._break_off())
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
        breaking_off.cancel()

    async def _break_off(self) -> None:
        """A thread cannot be ended; its job is done again by whoever comes next."""
        await asyncio.sleep(BREAK_OFF_SECONDS)
        log.warning("a job does not end; it is left, and will run again")
        worker = self._now
        if worker is not None and worker.worker_id is not None:
            with contextlib.suppress(TimeoutError, *_AWAY):
                async with asyncio.timeout(LEAVE_SECONDS):
                    await worker.app.job_manager.unregister_worker(worker.worker_id)
        os._exit(0)

    async def _work_and_tell(self) -> None:
        """Works as long as the database is there; then says why, and makes a pause."""
        begun = asyncio.get_running_loop().time()
        try:
            await self._work()
        except* _AWAY as group:
            fault = job_lines.first_line(_first(group))
        if self._wish.is_set():
            return
        if asyncio.get_running_loop().time() - begun > STEADY_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
        log.warning(
            "jobs wait; trying again",
            error=fault,
            pause_seconds=self._pause,
        )
        await asyncio.sleep(self._pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)

    async def _work(self) -> None:
        connector = _connector()
        # Another app: tasks go on to defer further jobs on Django's own connection, in
        # their transactions. `replace_connector` would take that away from them.
        app = django_app.with_connector(connector)
        app.job_manager = manager = Manager(connector)
        # procrastinate defers what is due regularly on this thread's connection, and
        # would go on with one that was lost.
        await sync_to_async(close_old_connections)()
        async with app.open_async():
            await stalled.release(app, self._left)
            await stalled.put_back(app)
            self._say_ready()
            try:
                async with asyncio.TaskGroup() as together:
                    together.create_task(manager.failure())
                    together.create_task(self._do_jobs(app))
            finally:
                self._note_left()

    async def _do_jobs(self, app: App) -> None:
        options: WorkerOptions = {
            **app.worker_defaults,
            "concurrency": CONCURRENCY,
            "delete_jobs": "successful",
            "shutdown_graceful_timeout": JOBS_END_SECONDS,
            "install_signal_handlers": False,
            "update_heartbeat_interval": stalled.HEARTBEAT_SECONDS,
            "stalled_worker_timeout": stalled.SILENT_SECONDS,
        }
        self._now = worker = Worker(app, **options)
        async with asyncio.TaskGroup() as together:
            together.create_task(_go_on(worker))
            together.create_task(_look_after(app, worker))

    def _say_ready(self) -> None:
        if self._ready is not None:
            self._ready()
            self._ready = None
        log.info("jobs are being done")

    def _note_left(self) -> None:
        if self._now is not None and self._now.worker_id is not None:
            self._left.add(self._now.worker_id)
        self._now = None


async def _go_on(worker: Worker) -> None:
    """procrastinate's worker ends by itself when it cannot listen any more."""
    await worker.run()  # type: ignore[no-untyped-call]  # it has none
    raise Lost(Lost.__doc__)


async def _look_after(app: App, worker: Worker) -> None:
    while True:
        await asyncio.sleep(stalled.LOOK_SECONDS)
        await stalled.put_back(app, mine=worker.worker_id)


def _connector() -> PsycopgConnector:
    return PsycopgConnector(
        kwargs={
            **connector_params(),
            **database.KEEPALIVES,
            "connect_timeout": database.CONNECT_SECONDS,
            "application_name": "flux jobs",
        },
        min_size=1,
        max_size=POOL_SIZE,
        timeout=ANSWER_SECONDS,
        name="jobs",
    )


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of all that failed together, what failed first."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
