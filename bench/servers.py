"""The processes that are measured: a whole Flux, and the bare handler beside it.

Invariant: whatever way a measurement ends, none of them is left, nor their data.
"""

import importlib.metadata
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil
import psycopg

from flux_project import credentials, listener, places, processes

PROJECT = Path(__file__).resolve().parent.parent
START_SECONDS = 120.0
STOP_SECONDS = 30.0
_MIB = 1 << 20


class CannotMeasure(RuntimeError):
    """A server did not start, or did not do what a measurement asked of it."""


@dataclass(frozen=True, slots=True)
class Cpu:
    """Seconds of computing: of the web worker, and of PostgreSQL's processes."""

    server: float
    postgres: float


@dataclass(frozen=True, slots=True)
class Clock:
    """Processor time so far, by process: some of PostgreSQL's come and go meanwhile."""

    server: float
    postgres: Mapping[int, float]

    def since(self, earlier: "Clock") -> Cpu:
        postgres = sum(
            max(0.0, seconds - earlier.postgres.get(pid, 0.0))
            for pid, seconds in self.postgres.items()
        )
        return Cpu(self.server - earlier.server, postgres)


@dataclass(frozen=True, slots=True)
class Bare:
    """The server of the bare handler."""

    port: int
    process: psutil.Popen


class Flux:
    """`manage.py flux` on data of its own, with PostgreSQL as it always runs it."""

    def __init__(self, data_dir: Path, port: int, process: psutil.Popen) -> None:
        self.data_dir = data_dir
        self.port = port
        self._process = process
        self._where = places.locate(data_dir)

    def wait_until_serving(self, log: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        while "Flux is running" not in log.read_text():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise CannotMeasure(log.read_text())
            time.sleep(0.05)
        children = self._process.children()
        self.worker, *_ = [each for each in children if each.name() != "postgres"]

    def connect(self) -> psycopg.Connection:
        secrets = credentials.load(self.data_dir)
        if secrets is None:
            message = f"{self.data_dir} holds no secrets"
            raise CannotMeasure(message)
        return psycopg.connect(
            host=str(self._where.sockets),
            port=places.PORT,
            user=places.USER,
            password=secrets.database_password,
            dbname=places.DATABASE,
            autocommit=True,
            prepare_threshold=1,
        )

    @property
    def admin_token(self) -> str:
        secrets = credentials.load(self.data_dir)
        return secrets.admin_token if secrets else ""

    def memory_mib(self) -> float:
        """Resident memory of the web worker."""
        return float(self.worker.memory_info().rss) / _MIB

    def clock(self) -> Clock:
        own = self.worker.cpu_times()
        database: dict[int, float] = {}
        for process in processes.postgres_inside(self._where.cluster):
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            database[process.pid] = times.user + times.system
        return Clock(own.user + own.system, database)

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A management command on this Flux's data, run to its end."""
        return subprocess.run(  # noqa: S603  our own program
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT,
            env=_environment(self.data_dir, self.port),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    def data_bytes(self) -> int:
        with self.connect() as connection:
            row = connection.execute(
                "SELECT pg_database_size(current_database())"
            ).fetchone()
        return int(row[0]) if row else 0


def _environment(data_dir: Path, port: int) -> dict[str, str]:
    """None of the developer's own settings, so that every run measures the same."""
    ours = {"DATABASE_URL", "SECRET_KEY", "DEBUG", "PORT", "DJANGO_SETTINGS_MODULE"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ours and not name.startswith(("FLUX_", "PG"))
    }
    return kept | {
        "FLUX_ENV_FILE": os.devnull,
        "FLUX_DATA_DIR": str(data_dir),
        "PORT": str(port),
    }


@contextmanager
def directory(parent: Path | None) -> Iterator[Path]:
    """A new data directory on a real disk; `/tmp` lies in memory on many systems."""
    disk = Path("/var/tmp")  # noqa: S108  mkdtemp makes a name nobody can foresee
    place = parent or (disk if disk.is_dir() else Path(tempfile.gettempdir()))
    made = Path(tempfile.mkdtemp(prefix="flux-bench-", dir=place)).resolve()
    made.chmod(0o711)  # PostgreSQL's account must pass through it
    try:
        yield made
    finally:
        where = places.locate(made / "data")
        for path in {where.sockets, where.base, made}:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def flux(base: Path, **settings: str) -> Iterator[Flux]:
    """A Flux that serves; ended, PostgreSQL included, when the block ends.

    settings: what its environment says beside the defaults.
    """
    data_dir, log, port = base / "data", base / "flux.log", _free_port()
    environment = _environment(data_dir, port) | settings
    with log.open("wb") as output:
        process = _start(["manage.py", "flux"], environment, output)
    try:
        running = Flux(data_dir, port, process)
        running.wait_until_serving(log)
        yield running
    finally:
        _end(process)


@contextmanager
def baseline(base: Path) -> Iterator[Bare]:
    """The bare handler, served."""
    listening = listener.listen("127.0.0.1", 0)
    port: int = listening.getsockname()[1]
    command = ["-m", "bench.baseline", "--parent", str(os.getpid())]
    command += ["--socket", str(listening.fileno())]
    environment = _environment(base / "bare", port) | {"FLUX_LANE": "false"}
    with (base / "baseline.log").open("wb") as output:
        process = _start(command, environment, output, listening)
    listening.close()
    try:
        yield Bare(port, process)
    finally:
        _end(process)


def _start(
    arguments: list[str],
    environment: Mapping[str, str],
    output: IO[bytes],
    *inherited: socket.socket,
) -> psutil.Popen:
    return psutil.Popen(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=[each.fileno() for each in inherited],
        start_new_session=True,  # Ctrl-C reaches the measurement, which ends them
    )


def _end(process: psutil.Popen) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(timeout=STOP_SECONDS)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(timeout=STOP_SECONDS)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def machine(running: Flux) -> dict[str, str | int]:
    """What the figures were measured on."""
    with running.connect() as connection:
        version = str(connection.info.server_version)
        row = connection.execute("SHOW fsync").fetchone()
    return {
        "processor": _processor(),
        "cores": psutil.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / (1 << 30)),
        "file_system": _file_system(running.data_dir),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "postgresql": f"{version[:-4]}.{int(version[-4:])}",
        "fsync": str(row[0]) if row else "unknown",
        "uvicorn": importlib.metadata.version("uvicorn"),
        "uvloop": importlib.metadata.version("uvloop"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.machine()


def _file_system(path: Path) -> str:
    mounts = psutil.disk_partitions(all=True)
    holding = [each for each in mounts if path.is_relative_to(each.mountpoint)]
    nearest = max(holding, key=lambda each: len(each.mountpoint), default=None)
    return nearest.fstype if nearest else "unknown"
