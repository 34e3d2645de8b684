"""The process that does the jobs, beside a whole Flux and alone; each wait is bounded.

Jobs are put into procrastinate's table by hand, for a task of its own that does nothing
while there are no old jobs. A job that has been done is no longer in the table.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from flux_project.embedded import EmbeddedPostgres
from tests.support import ledger, servers, session
from tests.support.ledger import Database
from tests.support.odd_jobs import ADDRESS, SECRET
from tests.support.servers import PROJECT, Flux, manage, wait_for

StartFlux = Callable[..., Flux]
AUTH = {"FLUX_AUTH_ENABLED": "true"}
TASK = "builtin:procrastinate.builtin_tasks.remove_old_jobs"
ARGUMENTS = {"max_hours": 1_000}


def put(
    database: Database,
    task: str = TASK,
    *,
    given: Mapping[str, object] | None = None,
    worker: int | None = None,
    lock: str | None = None,
) -> int:
    """A job that waits, or that this worker is doing."""
    arguments = ARGUMENTS if given is None and task == TASK else given or {}
    row = database.execute(
        "INSERT INTO procrastinate_jobs"
        " (queue_name, task_name, args, status, worker_id, queueing_lock)"
        " VALUES ('default', %s, %s, %s, %s, %s) RETURNING id",
        (task, json.dumps(arguments), "doing" if worker else "todo", worker, lock),
    ).fetchone()
    assert row is not None
    return int(row[0])


def status(database: Database, job: int) -> str | None:
    row = database.execute(
        "SELECT status FROM procrastinate_jobs WHERE id = %s", (job,)
    ).fetchone()
    return None if row is None else str(row[0])


def waiting(database: Database) -> list[tuple[str, str]]:
    """What odd jobs deferred: the queueing lock, and how it is."""
    rows = database.execute(
        "SELECT queueing_lock, status FROM procrastinate_jobs"
        " WHERE starts_with(queueing_lock, 'nothing')"
    )
    return [(lock, status) for lock, status in rows]


def is_done(database: Database, job: int) -> None:
    wait_for(lambda: status(database, job) is None, what=f"job {job} to be done")


def living(database: Database) -> int:
    """The id of the newest worker, once there is one."""

    def newest() -> int:
        query = "SELECT coalesce(max(id), 0) FROM procrastinate_workers"
        row = database.execute(query).fetchone()
        return int(row[0]) if row else 0

    wait_for(newest, what="a worker")
    return newest()


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def one_job_worker(flux: Flux, *, besides: int = 0) -> int:
    def others() -> list[int]:
        return [pid for pid in flux.job_worker_pids() if pid != besides]

    wait_for(others, what="the job worker")
    (pid,) = others()
    return pid


def reconnected(flux: Flux) -> Database:
    def answers() -> bool:
        try:
            ledger.of(flux).close()
        except psycopg.OperationalError:
            return False
        return True

    wait_for(answers, what="PostgreSQL")
    return ledger.of(flux)


def test_jobs_are_done_whatever_ends_meanwhile(start_flux: StartFlux) -> None:
    flux = start_flux(**AUTH)
    with ledger.of(flux) as database:
        is_done(database, put(database))

        killed, worker = one_job_worker(flux), living(database)
        begun = put(database, worker=worker)
        os.kill(killed, signal.SIGKILL)
        database.execute(
            "UPDATE procrastinate_workers SET last_heartbeat = '-infinity'"
        )
        alive = one_job_worker(flux, besides=killed)
        is_done(database, begun)

    postmaster = flux.postmaster_pid()
    os.kill(postmaster, signal.SIGINT)
    wait_for(lambda: not runs(postmaster), what="the end of PostgreSQL")
    with reconnected(flux) as database:
        is_done(database, put(database))
    assert flux.job_worker_pids() == [alive], "it did not have to start again"

    pids = flux.all_pids()
    assert alive in pids
    assert flux.stop() == 0
    assert not any(runs(pid) for pid in pids)


def test_in_open_mode_nobody_does_jobs(start_flux: StartFlux) -> None:
    flux = start_flux()
    (killed,) = flux.worker_pids()
    os.kill(killed, signal.SIGKILL)
    # Who starts this one had the time to start everything.
    wait_for(lambda: set(flux.worker_pids()) - {killed}, what="another web worker")
    assert flux.job_worker_pids() == []
    refused = manage("flux_worker", env=flux.env)
    assert refused.returncode == 1
    assert "Open mode has no jobs" in refused.stderr


@pytest.fixture(scope="module")
def jobs_database(postgres: EmbeddedPostgres) -> str:
    return servers.make_database(postgres, "flux_jobs")


@pytest.fixture
def database(jobs_database: str) -> Iterator[Database]:
    with ledger.at(jobs_database) as opened:
        yield opened
        opened.execute("TRUNCATE procrastinate_jobs, procrastinate_workers CASCADE")


@contextmanager
def working(
    database: Database, log: Path, *command: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A job worker on this database, until the test ends; its log is JSON."""
    env = {
        **session.environment(),
        **AUTH,
        "DATABASE_URL": session.database_url(database.info.dbname),
        "FLUX_LOG_FORMAT": "json",
        "FLUX_LOG_LEVEL": "debug",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=PROJECT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=10)


ODD = ("-m", "tests.support.odd_jobs")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_alone_until_it_is_asked_to_end(
    database: Database, tmp_path: Path, number: signal.Signals
) -> None:
    log = tmp_path / "log"
    with working(database, log, "manage.py", "flux_worker") as process:
        is_done(database, put(database))
        process.send_signal(number)
        assert process.wait(timeout=20) == 0, log.read_text()
    left = database.execute("SELECT count(*) FROM procrastinate_workers").fetchone()
    assert left == (0,)


def test_a_job_that_does_not_end_is_left_for_the_next(
    database: Database, tmp_path: Path
) -> None:
    with working(database, tmp_path / "log", *ODD) as process:
        job = put(database, "endless")
        wait_for(lambda: status(database, job) == "doing", what="the job's beginning")
        process.terminate()
        assert process.wait(timeout=20) == 0
    assert status(database, job) == "doing"
    with working(database, tmp_path / "log", *ODD):
        wait_for(lambda: "job_put_back" in (tmp_path / "log").read_text(), what="it")


def test_a_failure_is_told_once_and_without_what_the_job_was_given(
    database: Database, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with working(database, log, *ODD):
        given = {"address": ADDRESS, "words": [SECRET]}
        job = put(database, "failing", given=given)
        wait_for(lambda: status(database, job) == "failed", what="the job's end")
        is_done(database, put(database))
    text = log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    (told,) = [line for line in lines if line.get("job") == job]
    assert told["event"] == "job_failed"
    assert told["task"] == "failing"
    assert told["error"] == "ValueError: no mail for … and …: …"
    assert "in failing" in told["exception"]
    assert "@" not in text
    assert SECRET not in text


def test_what_a_job_defers_is_part_of_its_transaction(
    database: Database, tmp_path: Path
) -> None:
    with working(database, tmp_path / "log", *ODD):
        is_done(database, put(database, "deferring"))
    assert waiting(database) == [("nothing kept", "todo")]


def test_a_job_whose_place_is_taken_is_not_tried_again(
    database: Database, tmp_path: Path
) -> None:
    """Two jobs of one queueing lock cannot wait; the one that waits is enough."""
    log = tmp_path / "log"
    with working(database, log, *ODD):
        is_done(database, put(database, "crowded", lock="nothing twice"))
        is_done(database, put(database))
    assert waiting(database) == [("nothing twice", "todo")]
    assert "jobs wait" not in log.read_text()


def test_what_is_due_regularly_goes_on_when_connections_were_lost(
    database: Database, tmp_path: Path
) -> None:
    def last_tick() -> int:
        query = "SELECT max(defer_timestamp) FROM procrastinate_periodic_defers"
        row = database.execute(query).fetchone()
        return row[0] or 0 if row else 0

    with working(database, tmp_path / "log", *ODD, "ticking"):
        wait_for(last_tick, what="the first tick")
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        before = last_tick()
        wait_for(lambda: last_tick() > before + 2, what="further ticks")
