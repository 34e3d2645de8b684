"""Starting and ending a whole Flux, with real processes.

No duration is asserted; every wait has a bound, and running into it is the failure.
"""

import signal
import stat
import subprocess
from collections.abc import Callable
from urllib.error import HTTPError
from urllib.request import urlopen

import psutil
import pytest

from flux_project import binaries
from flux_project.credentials import FILE_NAME
from tests.support.servers import Flux, free_port, wait_for

StartFlux = Callable[..., Flux]


def answers(flux: Flux) -> bool:
    """Whether HTTP gets through, whatever the answer."""
    try:
        urlopen(f"{flux.base_url}/api/health", timeout=10).close()  # noqa: S310
    except HTTPError:
        return True
    except OSError:
        return False
    return True


def gone(pids: list[int]) -> bool:
    """Ended. In a container nobody may collect an orphan's status: a zombie counts."""
    return not any(
        psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        for pid in pids
    )


def test_the_first_start_shows_the_secrets_once(start_flux: StartFlux) -> None:
    first = start_flux()
    secrets = (first.data_dir / FILE_NAME).read_text()
    password = secrets.split('"admin_password": "')[1].split('"')[0]
    assert password in first.output()
    assert stat.S_IMODE((first.data_dir / FILE_NAME).stat().st_mode) == 0o600
    first.stop()

    second = start_flux(like=first)
    assert password not in second.output()
    assert (second.data_dir / FILE_NAME).read_text() == secrets


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_every_process(
    start_flux: StartFlux, number: signal.Signals
) -> None:
    flux = start_flux(FLUX_WORKERS="2")
    assert answers(flux)
    pids = flux.all_pids()
    assert len(pids) > 3
    assert flux.stop(number) == 0
    assert gone(pids)
    assert not answers(flux)
    assert not (flux.places.cluster / "postmaster.pid").exists()


def test_a_signal_during_the_first_start_leaves_nothing(start_flux: StartFlux) -> None:
    flux = start_flux(wait=False)
    wait_for(flux.places.sockets.exists, what="the database to be made")
    assert flux.stop() == 0
    assert flux.postgres_pids() == []
    assert answers(start_flux(like=flux))


def test_a_start_after_everything_was_killed(start_flux: StartFlux) -> None:
    first = start_flux()
    first.kill_everything()
    assert (first.places.cluster / "postmaster.pid").exists()

    second = start_flux(like=first)
    assert answers(second)
    assert "Flux is running" not in second.output(), "it is not a first start"


def test_workers_end_with_their_supervisor(start_flux: StartFlux) -> None:
    flux = start_flux(FLUX_WORKERS="2")
    workers = flux.worker_pids()
    assert len(workers) == 2
    flux.kill_supervisor()
    wait_for(lambda: gone(workers), what="the workers to end")


def test_an_orphaned_postgresql_is_ended_first(start_flux: StartFlux) -> None:
    first = start_flux()
    orphan = first.postmaster_pid()
    first.kill_supervisor()
    assert psutil.pid_exists(orphan)

    second = start_flux(like=first)
    assert gone([orphan])
    assert second.postmaster_pid() != orphan
    assert answers(second)


def test_a_stale_pid_that_another_process_now_has(start_flux: StartFlux) -> None:
    """PostgreSQL itself refuses to start here when the other process is its user's."""
    first = start_flux()
    pid_file = first.places.cluster / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    first.kill_everything()
    options = binaries.Programs(pid_file, binaries.account()).child_options()
    with subprocess.Popen(["/bin/sleep", "600"], **options) as other:
        try:
            pid_file.write_text("\n".join([str(other.pid), *lines[1:], ""]))
            assert answers(start_flux(like=first))
            assert other.poll() is None, "it was none of ours to end"
        finally:
            other.kill()


def test_a_dead_worker_is_replaced(start_flux: StartFlux) -> None:
    flux = start_flux()
    (worker,) = flux.worker_pids()
    psutil.Process(worker).kill()
    wait_for(
        lambda: flux.worker_pids() not in ([], [worker]), what="another worker to start"
    )
    assert answers(flux)


def test_a_dead_postgresql_is_started_again(start_flux: StartFlux) -> None:
    flux = start_flux()
    killed = flux.postmaster_pid()
    psutil.Process(killed).kill()
    wait_for(lambda: "PostgreSQL runs again" in flux.output(), what="PostgreSQL")
    assert flux.postmaster_pid() != killed
    assert answers(flux)


def test_two_starts_on_one_data_directory(start_flux: StartFlux) -> None:
    """The second says who holds it, and harms nothing."""
    first = start_flux()
    second = start_flux(like=first, wait=False, PORT=str(free_port()))
    assert second.process.wait(timeout=60) == 1
    assert f"(process {first.process.pid})" in second.output()
    assert answers(first)
