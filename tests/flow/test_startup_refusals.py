"""What an operator got wrong is one sentence that names it, and exit 1."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flux_project import credentials, places
from tests.support import session
from tests.support.servers import PROJECT, Flux, free_port, manage

StartFlux = Callable[..., Flux]


def sentence(output: str) -> str:
    """The last line is ours; a traceback is never part of it."""
    assert "Traceback" not in output, output
    lines = output.strip().splitlines()
    assert lines, "it said nothing"
    assert lines[-1].startswith("flux: "), output
    return lines[-1]


def refused(flux: Flux) -> str:
    assert flux.process.wait(timeout=60) == 1, flux.output()
    return sentence(flux.output())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "65536"),
        ("FLUX_WORKERS", "0"),
        ("FLUX_LANE", "perhaps"),
        ("FLUX_AUTH_ENABLED", "maybe"),
        ("FLUX_OPEN_REGISTRATION", "maybe"),
        ("FLUX_PUBLIC_URL", "flux.example.org"),
        ("FLUX_PUBLIC_URL", "https://flux.example.org/flux"),
        ("FLUX_TRUSTED_PROXIES", "proxy.example.org"),
        ("FLUX_TRUSTED_PROXIES", "*"),
        ("FLUX_BILLING", "stripe"),  # in open mode
        ("FLUX_PRICE", "9"),
        ("EMAIL_URL", "mail.example.org"),
        ("FLUX_EMAIL_FROM", "nobody"),
        ("FLUX_CONTACT", "ask us"),
        ("FLUX_LOG_LEVEL", "loud"),
        ("FLUX_ALLOWED_ORIGINS", "example.org"),
        ("FLUX_ALLOWED_HOSTS", "https://example.org"),
        ("DATABASE_URL", "mysql://localhost/flux"),
    ],
)
def test_a_bad_setting_is_named(name: str, value: str) -> None:
    done = manage("flux", env={**os.environ, name: value})
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert name in sentence(done.stderr)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FLUX_ADMIN_TOKEN", "guess me if you"),
        ("FLUX_ADMIN_TOKEN", "   "),
        ("SECRET_KEY", "a secret of 31 characters, no 3"),
    ],
)
def test_in_auth_mode_what_can_be_guessed_is_refused(name: str, value: str) -> None:
    done = manage("flux", env={**os.environ, "FLUX_AUTH_ENABLED": "true", name: value})
    assert done.returncode == 1
    said = sentence(done.stderr)
    assert name in said
    assert "guess me" not in said
    assert "a secret of" not in said


@pytest.mark.parametrize(
    "command",
    [
        ["daphne", "flux_project.asgi:application"],
        ["uvicorn", "flux_project.asgi:application"],
        ["flux_project.web", "--socket=0", f"--parent={os.getpid()}"],
    ],
)
def test_other_servers_name_it_too(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=PROJECT,
        env={**os.environ, "FLUX_AUTH_ENABLED": "maybe"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "FLUX_AUTH_ENABLED" in sentence(done.stderr)


def test_a_port_that_is_taken(start_flux: StartFlux) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert port in refused(start_flux(wait=False, PORT=port))


def test_a_host_that_is_not_here(start_flux: StartFlux) -> None:
    said = refused(start_flux(wait=False, FLUX_HOST="192.0.2.1"))
    assert "FLUX_HOST" in said


@pytest.mark.parametrize("below", ["file", "file/data", "/proc/flux"])
def test_a_data_directory_that_cannot_be_made(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    data_dir = str(tmp_path / below)
    env = {**os.environ, "FLUX_DATA_DIR": data_dir, "PORT": str(free_port())}
    done = manage("flux", env=env)
    assert done.returncode == 1
    assert Path(data_dir).name in sentence(done.stderr)


def test_damaged_secrets(start_flux: StartFlux) -> None:
    flux = start_flux()
    flux.stop()
    (flux.data_dir / credentials.FILE_NAME).write_text('{"secret_key": ')
    assert credentials.FILE_NAME in refused(start_flux(like=flux, wait=False))


def test_secrets_that_are_not_those_of_the_database(start_flux: StartFlux) -> None:
    flux = start_flux()
    flux.stop()
    (flux.data_dir / credentials.FILE_NAME).unlink()
    assert "password" in refused(start_flux(like=flux, wait=False))


def test_a_postgresql_that_does_not_start_is_quoted(start_flux: StartFlux) -> None:
    flux = start_flux()
    flux.stop()
    (flux.places.cluster / "PG_VERSION").write_text("9\n")
    assert "FATAL" in refused(start_flux(like=flux, wait=False))


def test_a_database_that_does_not_answer() -> None:
    missing = session.DIRECTORY / "nowhere"
    url = f"postgresql://flux@/flux?host={missing}"
    done = manage("flux", env={**os.environ, "DATABASE_URL": url, "PORT": "0"})
    assert done.returncode == 1
    assert "PORT" in sentence(done.stderr)
    env = {**os.environ, "DATABASE_URL": url, "PORT": str(free_port())}
    done = manage("flux", env=env)
    assert done.returncode == 1
    assert "DATABASE_URL" in sentence(done.stderr)


def test_a_command_beside_no_running_flux() -> None:
    data_dir = session.DIRECTORY / "never-started"
    env = {**os.environ, "DATABASE_URL": "", "FLUX_DATA_DIR": str(data_dir)}
    done = manage("migrate", "--check", env=env)
    assert done.returncode == 1
    assert "make run" in sentence(done.stderr)
    assert not places.locate(data_dir).data_dir.exists()
