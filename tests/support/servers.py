"""Real server processes for tests. Every wait is bounded; ends are by pid alone."""

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from flux_project import listener, places, processes
from flux_project.embedded import EmbeddedPostgres
from tests.support import session

PROJECT = Path(__file__).resolve().parent.parent.parent
PATIENCE_SECONDS = 60.0
_numbers = itertools.count()


def wait_for(
    condition: Callable[[], object], *, what: str, seconds: float = PATIENCE_SECONDS
) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            message = f"still waiting after {seconds:.0f} s: {what}"
            raise TimeoutError(message)
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Server:
    """One web worker process on a port of its own."""

    base_url: str
    port: int
    data_dir: Path
    env: Mapping[str, str]
    lane: bool
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=10)


def serve(database: str, *, within: str | None = None, **env: str) -> Server:
    """Start one web worker on this database of the session's cluster; wait for it.

    within: a shell's command before it, as `ulimit -n 200`.
    """
    listening = listener.listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    data_dir = session.DIRECTORY / f"web-{port}"
    places.make_data_dir(data_dir)
    environment = {
        **os.environ,
        "DATABASE_URL": session.database_url(database),
        "FLUX_DATA_DIR": str(data_dir),
        "FLUX_ADMIN_TOKEN": "the admin token of the tests",
        **env,
    }
    ready, told = os.pipe()
    log = data_dir / "web.log"
    command = [sys.executable, "-m", "flux_project.web", "--parent", str(os.getpid())]
    command += ["--socket", str(listening.fileno()), "--ready", str(told)]
    if within is not None:
        command = ["/bin/sh", "-c", f'{within} && exec "$@"', "sh", *command]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[listening.fileno(), told],
        )
    os.close(told)
    listening.close()
    with os.fdopen(ready, "rb") as pipe:
        if pipe.read(1) != b"\n":  # ends as well when the process does
            raise RuntimeError(log.read_text())
    return Server(
        base_url=f"http://127.0.0.1:{port}",
        port=port,
        data_dir=data_dir,
        env=environment,
        lane=environment.get("FLUX_LANE") != "false",
        process=process,
        log=log,
    )


def manage(*arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a management command to its end."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=PROJECT,
        env=dict(env),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        stdin=subprocess.DEVNULL,
    )


def make_database(postgres: EmbeddedPostgres, name: str) -> str:
    """An empty database for server processes; gives its name."""
    postgres.ensure_database(name)
    env = session.environment() | {"DATABASE_URL": session.database_url(name)}
    done = manage("migrate", "--verbosity=0", env=env)
    assert done.returncode == 0, done.stderr
    return name


class Flux:
    """A whole `manage.py flux` with a data directory and a port of its own."""

    def __init__(self, data_dir: Path, **env: str) -> None:
        self.data_dir = data_dir
        self.port = int(env.get("PORT") or free_port())
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.env = {
            name: value for name, value in os.environ.items() if name != "DATABASE_URL"
        } | {"FLUX_DATA_DIR": str(data_dir), "PORT": str(self.port), **env}
        self.places = places.locate(data_dir)
        self._log = session.DIRECTORY / f"flux-{next(_numbers)}.log"
        self.process: subprocess.Popen[bytes]

    def start(self) -> None:
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "flux"],
                cwd=PROJECT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def output(self) -> str:
        return self._log.read_text()

    def wait_until_serving(self) -> None:
        wait_for(self._settled, what=f"Flux to serve:\n{self.output()}")
        if not self._serves():
            raise RuntimeError(self.output())

    def _serves(self) -> bool:
        return "Flux is running" in self.output() or "Flux serves" in self.output()

    def _settled(self) -> bool:
        return self._serves() or self.process.poll() is not None

    def worker_pids(self) -> list[int]:
        """The web workers'."""
        return self._children("flux_project.web")

    def job_worker_pids(self) -> list[int]:
        return self._children("flux_project.work")

    def _children(self, module: str = "") -> list[int]:
        """Its processes, PostgreSQL apart: those that run this module, or all."""
        found: list[int] = []
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                is_ours = child.name() != "postgres"
                if is_ours and (not module or module in child.cmdline()):
                    found.append(child.pid)
        return found

    def postgres_pids(self) -> list[int]:
        found = processes.postgres_inside(self.places.cluster)
        return [process.pid for process in found]

    def postmaster_pid(self) -> int:
        lines = (self.places.cluster / "postmaster.pid").read_text().split()
        return int(lines[0])

    def all_pids(self) -> list[int]:
        return [self.process.pid, *self._children(), *self.postgres_pids()]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def kill_supervisor(self) -> None:
        self.process.kill()
        self.process.wait(timeout=PATIENCE_SECONDS)

    def kill_everything(self) -> None:
        """Each of its processes, PostgreSQL's too, with no time to say anything."""
        for pid in self.all_pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(timeout=PATIENCE_SECONDS)

    def remove(self) -> None:
        """However the test left it: nothing runs afterwards and nothing is kept."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.kill_supervisor()
        left = processes.postgres_inside(self.places.cluster)
        processes.send(left, signal.SIGKILL)
        psutil.wait_procs(left, timeout=10)
        session.remove(self.data_dir)


# ASGI servers that know nothing of Flux: what starts them. uvicorn, told nothing else,
# would wait for streams to end by themselves.
PLAIN = {
    "daphne": "daphne flux_project.asgi:application -b 127.0.0.1 -p {port}",
    "uvicorn": "uvicorn flux_project.asgi:application --port {port}"
    " --timeout-graceful-shutdown 2",
}


def serve_plain(kind: str, database: str, **env: str) -> Server:
    """Start a plain ASGI server on this database; wait until it takes connections."""
    port = free_port()
    data_dir = session.DIRECTORY / f"{kind}-{port}"
    places.make_data_dir(data_dir)
    environment = {
        **os.environ,
        "DATABASE_URL": session.database_url(database),
        "FLUX_DATA_DIR": str(data_dir),
        **env,
    }
    log = data_dir / "web.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *PLAIN[kind].format(port=port).split()],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    base_url = f"http://127.0.0.1:{port}"
    server = Server(base_url, port, data_dir, environment, False, process, log)
    try:
        wait_for(lambda: _is_open(server), what=f"{kind} to listen")
    except BaseException:
        server.stop()
        raise
    return server


def _is_open(server: Server) -> bool:
    if server.process.poll() is not None:
        raise RuntimeError(server.log.read_text())
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", server.port)) == 0
