"""The embedded PostgreSQL: made, started, watched and stopped by Flux itself.

Invariant: at most one server works on a cluster. The lock of the data directory keeps
other Fluxes away, and no lock file of PostgreSQL is removed while one of its processes
works there. A start waits for crash recovery however long it takes.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg
from psycopg import pq, sql

from flux_project import binaries, cluster, places, processes
from flux_project.binaries import Programs
from flux_project.places import Places
from flux_project.sentences import CannotStart

PROGRESS_SECONDS = 3.0
MAX_LOG_BYTES = 8 << 20
# How what a killed Flux left is ended: a signal, and how long it may take to obey.
LEFTOVERS_END = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))


class EmbeddedPostgres:
    """One cluster and, between `start` and `stop`, its server.

    `report` gets one line for people now and then; `sleep` may raise to end a wait.
    """

    def __init__(
        self,
        where: Places,
        *,
        password: str,
        options: Mapping[str, str] | None = None,
        bindir: Path | None = None,
        report: Callable[[str], None] = lambda line: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._places = where
        self._password = password
        self._options = options or {}
        self._given_bindir = bindir
        self._report = report
        self._sleep = sleep
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Afterwards the server answers on its socket. Also starts it after a crash.

        Raises CannotStart with PostgreSQL's own last words when it cannot.
        """
        who = binaries.account()
        bindir = self._given_bindir or binaries.directory(who)
        self._programs = Programs(bindir, who)
        self._make_directories()
        self._end_leftovers()
        if not self._places.cluster.exists():
            self._report("Making the database (once).")
            cluster.create(self._places, self._programs, password=self._password)
        cluster.write_config(self._places, self._options)
        log_end = self._launch()
        self._wait_until_ready(log_end)

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(
            host=str(self._places.sockets),
            port=places.PORT,
            user=places.USER,
            password=self._password,
            dbname=database,
            connect_timeout=5,
            autocommit=True,
        )

    def ensure_database(self, name: str = places.DATABASE) -> None:
        try:
            connection = self.connect()
        except psycopg.OperationalError as error:
            message = (
                f"The database in {self._places.base} refuses the password of "
                f"{self._places.data_dir}: restore both from the same backup ({error})."
            )
            raise CannotStart(" ".join(message.split())) from None
        with connection:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if connection.execute(query, (name,)).fetchone() is None:
                create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
                connection.execute(create)

    def checkpoint(self) -> None:
        """Write out now what a stop would otherwise have to write; best effort."""
        with contextlib.suppress(psycopg.Error), self.connect() as connection:
            connection.execute("CHECKPOINT")

    def stop(self, *, patience: float = 4.0) -> None:
        """End the server: fast, then at once. Either way nothing committed is lost."""
        if self._process is None:
            return
        for number, seconds in (
            (signal.SIGINT, patience),
            (signal.SIGQUIT, 2.0),
            (signal.SIGKILL, 2.0),
        ):
            if self._process.poll() is None:
                self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=seconds)
                break
        self._process = None

    def bound_log(self) -> None:
        """Keep one older part of the log. Copied, as the server keeps its file open."""
        path = self._places.log
        if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
            shutil.copyfile(path, path.with_suffix(".log.1"))
            os.truncate(path, 0)

    def _make_directories(self) -> None:
        if not self._places.base.exists():
            self._report(
                f"{self._places.data_dir} is closed to the account "
                f"{binaries.ACCOUNT}, so the database is kept in {self._places.base}."
            )
            places.make_directory(self._places.base, mode=0o711)
        who = self._programs.account
        places.make_private(self._places.sockets, owner=who.uid, group=who.gid)

    def _end_leftovers(self) -> None:
        """End what a killed Flux left running, then remove the files it left lying."""
        directory = self._places.cluster
        if processes.postgres_inside(directory):
            self._report("Ending the PostgreSQL that an earlier start left running.")
            for number, seconds in LEFTOVERS_END:
                if self._ended_after(number, seconds=seconds):
                    break
            else:
                message = (
                    f"A PostgreSQL that cannot be ended still works in {directory}."
                )
                raise CannotStart(message)
        (directory / "postmaster.pid").unlink(missing_ok=True)
        for stale in self._places.sockets.glob(".s.PGSQL.*"):
            stale.unlink()

    def _ended_after(self, number: signal.Signals, *, seconds: float) -> bool:
        """Signal the postmaster, or its orphans when it is gone, and wait for all."""
        directory = self._places.cluster
        found = processes.postgres_inside(directory)
        head = _postmaster_pid(directory)
        heads = [process for process in found if process.pid == head]
        if (
            heads or number != signal.SIGINT
        ):  # orphans end by themselves; SIGINT cancels
            everybody = number == signal.SIGKILL
            processes.send(found if everybody or not heads else heads, number)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not processes.postgres_inside(directory):
                return True
            self._sleep(0.1)
        return False

    def _launch(self) -> int:
        """Answers where in the log this start begins."""
        command = [
            str(self._programs.bindir / "postgres"),
            "-D",
            str(self._places.cluster),
        ]
        command += ["-c", f"config_file={self._places.config}"]
        descriptor = os.open(
            self._places.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600
        )
        with os.fdopen(descriptor, "ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  our own program
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._programs.child_options(),
            )
            return log.tell()

    def _wait_until_ready(self, log_start: int) -> None:
        target = f"host='{self._places.sockets}' port={places.PORT}".encode()
        spoken = time.monotonic()
        while pq.PGconn.ping(target) != pq.Ping.OK:
            if not self.running:
                message = f"PostgreSQL did not start: {self._last_words(log_start)}"
                raise CannotStart(message)
            if time.monotonic() - spoken > PROGRESS_SECONDS:
                spoken = time.monotonic()
                self._report("PostgreSQL is still starting (it recovers its log).")
            self._sleep(0.05)

    def _last_words(self, log_start: int) -> str:
        with self._places.log.open("rb") as log:
            log.seek(log_start)
            lines = log.read(MAX_LOG_BYTES).decode(errors="replace").splitlines()
        fatal = [line for line in lines if "FATAL" in line or "PANIC" in line]
        return " / ".join((fatal or lines)[-3:]) or "it said nothing."


def _postmaster_pid(directory: Path) -> int | None:
    try:
        return int((directory / "postmaster.pid").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
