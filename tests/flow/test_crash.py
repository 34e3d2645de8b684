"""`kill -9` in the middle of a load: acknowledged is in the log once, and nothing half.

PostgreSQL runs as in production here, with fsync. Every wait has a bound.
"""

import os
import signal
from collections.abc import Callable

import psutil
import psycopg

from tests.support import ledger, load
from tests.support.load import Load
from tests.support.servers import Flux, wait_for

StartFlux = Callable[..., Flux]
KILLS = 20
VERIFIED_EVERY = 10
# A worker that ended soon after its start comes back later each time; with five of them
# each is killed four times, and there is always one that serves.
WORKERS = 5


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: is_gone(pid), what=f"the end of {pid}")


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def checked(flux: Flux, running: Load) -> int:
    """Holds log and state against what the writers were told; the number of events."""
    with ledger.of(flux) as connection:
        events = ledger.check(connection, running)
    ledger.verify(flux.env)
    return events


def test_workers_killed_under_load(start_flux: StartFlux) -> None:
    flux = start_flux(FLUX_WORKERS=str(WORKERS))
    victims: set[int] = set()
    with load.running([flux.port], writers=10) as running:
        for number in range(1, KILLS + 1):
            wait_for(lambda: set(flux.worker_pids()) - victims, what="a worker")
            alive = set(flux.worker_pids()) - victims
            victims.add(min(alive))
            kill(min(alive))
            running.goes_on()
            if number % VERIFIED_EVERY == 0:
                ledger.verify(flux.env)
    assert len(victims) == KILLS
    assert running.lost, "the kills were felt"
    assert checked(flux, running) > KILLS


def test_postgresql_killed_under_load(start_flux: StartFlux) -> None:
    """In turn its postmaster, the backend that commits, and all of it at once."""
    flux = start_flux(FLUX_WORKERS="2")
    strikes = [kill_postmaster, kill_committer, kill_all_of_postgresql]
    with load.running([flux.port], writers=10) as running:
        for number in range(1, KILLS + 1):
            strikes[number % len(strikes)](flux)
            wait_for(lambda: committers(flux), what="a commit")
            running.goes_on()
            if number % VERIFIED_EVERY == 0:
                ledger.verify(flux.env)
    assert running.refusals, "the kills were felt"
    assert checked(flux, running) > KILLS


def kill_postmaster(flux: Flux) -> None:
    kill(flux.postmaster_pid())


def kill_committer(flux: Flux) -> None:
    """PostgreSQL takes the end of one backend for a crash of all, and recovers."""
    wait_for(lambda: committers(flux), what="a commit")
    for pid in committers(flux)[:1]:
        kill(pid)


def committers(flux: Flux) -> list[int]:
    """The backends that commit; none while PostgreSQL is away."""
    try:
        with ledger.of(flux) as connection:
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity"
                " WHERE application_name = 'flux committer'"
            ).fetchall()
    except psycopg.OperationalError:
        return []
    return [row[0] for row in rows]


def kill_all_of_postgresql(flux: Flux) -> None:
    for pid in flux.postgres_pids():
        if not is_gone(pid):
            kill(pid)


def test_everything_killed_and_started_again(start_flux: StartFlux) -> None:
    flux = start_flux(FLUX_WORKERS="2")
    with load.running([flux.port], writers=10) as running:
        for _ in range(2):
            running.goes_on(50)
            flux.kill_everything()
            flux = start_flux(like=flux, FLUX_WORKERS="2")
        running.goes_on()
    assert running.lost
    assert checked(flux, running) > 100
