"""Everything that runs when Flux runs, started in order and ended in order.

Invariant: whatever way it ends, short of being killed, no process of it is left; and
what a killed one left, the next start puts in order.
"""

import threading
import time
from collections.abc import Callable

import structlog
from django.conf import settings

from flux_project import (
    checks,
    credentials,
    embedded,
    env,
    listener,
    places,
    preparation,
    shared_metrics,
    workers,
)
from flux_project.sentences import CannotStart
from flux_project.stopping import Stop, Wish
from flux_project.workers import Worker

log = structlog.get_logger("flux")

TICK_SECONDS = 0.1
LOG_CHECK_SECONDS = 10.0
WORKERS_END_SECONDS = 3.4  # uvicorn's own grace is 3
EVERYTHING_ENDS_SECONDS = 4.4
LONGEST_PAUSE_SECONDS = 15.0
JOBS_OWN_CONNECTIONS = 3  # the job worker's, beside Django's pool
OTHER_CONNECTIONS = 40  # management commands, people with psql


class Supervisor:
    """`welcome` is called once everything serves, with whether the admin is new."""

    def __init__(self, *, welcome: Callable[[credentials.Secrets, bool], None]) -> None:
        self._welcome = welcome
        self._wish = Wish()
        self._postgres: embedded.EmbeddedPostgres | None = None
        self._workers: list[Worker] = []
        self._postgres_pause = 0.0
        self._log_checked = 0.0

    def run(self) -> None:
        """Until somebody asks it to end. Raises CannotStart before anything serves."""
        self._wish.listen()
        try:
            self._start()
            self._watch()
        except Stop:
            log.info("stopping")
            self._stop()
            log.info("stopped")
        except BaseException:
            self._stop()
            raise

    def _start(self) -> None:
        for name in env.unknown():
            log.warning("this variable is unknown and ignored", name=name)
        for risk in checks.risks():
            log.warning(risk.msg, id=risk.id, hint=risk.hint)
        self._secrets = credentials.create(settings.FLUX_DATA_DIR)
        self._lock = places.lock(settings.FLUX_DATA_DIR, sleep=self._wish.sleep)
        listening = listener.listen(
            settings.FLUX_HOST, settings.PORT, sleep=self._wish.sleep
        )
        if settings.FLUX_EMBEDDED:
            self._start_postgres()
        self._new_admin = self._prepare()
        places.make_empty(shared_metrics.directory(settings.FLUX_DATA_DIR))
        self._workers = [
            Worker(workers.web(number, listening))
            for number in range(1, settings.FLUX_WORKERS + 1)
        ]

    def _start_postgres(self) -> None:
        per_worker = settings.DATABASE_POOL_SIZE + settings.DATABASE_OWN_CONNECTIONS
        connections = settings.FLUX_WORKERS * per_worker + OTHER_CONNECTIONS
        if workers.has_jobs():
            connections += settings.DATABASE_POOL_SIZE + JOBS_OWN_CONNECTIONS
        self._postgres = embedded.EmbeddedPostgres(
            settings.FLUX_PLACES,
            password=self._secrets.database_password,
            options={"max_connections": str(connections)},
            report=log.info,
            sleep=self._wish.sleep,
        )
        self._postgres.start()
        self._postgres.ensure_database()
        log.info("PostgreSQL runs", directory=str(settings.FLUX_PLACES.cluster))

    def _prepare(self) -> bool:
        with self._wish.interruptible():
            steps = preparation.migrate(sleep=self._wish.sleep)
            if steps:
                log.info("the database has been brought up to date", migrations=steps)
            new_admin = preparation.ensure_admin(self._secrets.admin_password)
            preparation.close_connections()
        return new_admin

    def _watch(self) -> None:
        welcomed = False
        while True:
            self._tend_postgres()
            for worker in self._workers:
                worker.tend()
            if not welcomed and all(worker.served for worker in self._workers):
                welcomed = True
                self._welcome(self._secrets, self._new_admin)
                # Not before: its start would take time from theirs.
                if workers.has_jobs():
                    self._workers.append(Worker(workers.jobs()))
            self._wish.sleep(TICK_SECONDS)

    def _tend_postgres(self) -> None:
        """Start it again when it has ended; meanwhile Flux answers 503."""
        if self._postgres is None:
            return
        if not self._postgres.running:
            self._restart(self._postgres)
        elif time.monotonic() - self._log_checked > LOG_CHECK_SECONDS:
            self._log_checked = time.monotonic()
            self._postgres.bound_log()

    def _restart(self, postgres: embedded.EmbeddedPostgres) -> None:
        log.error("PostgreSQL has ended; starting it again")
        try:
            postgres.start()
        except CannotStart as error:
            self._postgres_pause = min(
                self._postgres_pause * 2 + 0.5, LONGEST_PAUSE_SECONDS
            )
            log.error(str(error), pause_seconds=self._postgres_pause)
            self._wish.sleep(self._postgres_pause)
        else:
            self._postgres_pause = 0.0
            log.info("PostgreSQL runs again")

    def _stop(self) -> None:
        """Workers first; PostgreSQL writes out its pages meanwhile, to end quickly."""
        begun = time.monotonic()
        for worker in self._workers:
            worker.ask_to_end()
        if self._postgres is not None and self._postgres.running:
            early = threading.Thread(target=self._postgres.checkpoint, daemon=True)
            early.start()
        for worker in self._workers:
            worker.end(deadline=begun + WORKERS_END_SECONDS)
        if self._postgres is not None:
            left = begun + EVERYTHING_ENDS_SECONDS - time.monotonic()
            self._postgres.stop(patience=max(left, 0.5))
