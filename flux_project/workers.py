"""The processes that the supervisor keeps running: web servers, and who does the jobs.

Invariant: in each place there is one, started again when it ends, with a longer pause
each time it ended soon after its start.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
from django.conf import settings

from flux_project import shared_metrics

log = structlog.get_logger("flux.workers")

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 15.0
STEADY_SECONDS = 30.0  # after this long a worker counts as healthy
PROJECT = Path(__file__).resolve().parent.parent


def _nothing() -> None:
    """What is left to do after most processes."""


@dataclass(frozen=True, slots=True)
class Program:
    """What runs in a place: `python -m module arguments --ready FD --parent PID`.

    inherits: the sockets that it gets, which stay open as long as this is kept. after:
    what its end leaves to do.
    """

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    inherits: tuple[socket.socket, ...] = ()
    after: Callable[[], None] = _nothing


def web(number: int, listening: socket.socket) -> Program:
    """One of the web servers, which share the listening socket."""
    return Program(
        f"web worker {number}",
        "flux_project.web",
        ("--socket", str(listening.fileno()), "--worker", str(number)),
        (listening,),
        partial(shared_metrics.leave, settings.FLUX_DATA_DIR, number),
    )


def has_jobs() -> bool:
    """Whether anything is ever deferred, so that somebody has to do it."""
    return bool(settings.FLUX_AUTH_ENABLED)


def jobs() -> Program:
    """The one that does the jobs."""
    return Program("job worker", "flux_project.work")


class Worker:
    """One place for a process, and the process that is there now."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._ready: int | None = None
        self._born = 0.0
        self._pause = FIRST_PAUSE_SECONDS
        self._not_before = 0.0
        self.served = False

    def tend(self) -> None:
        """Start it if it is missing; note when it begins to serve and when it ends."""
        if self._process is None:
            if time.monotonic() >= self._not_before:
                self._start()
        elif self._process.poll() is not None:
            self._note_end(self._process.returncode)
        elif self._ready is not None:
            self._note_ready(self._ready)

    def ask_to_end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def end(self, *, deadline: float) -> None:
        """Wait for its end until the deadline, then make it."""
        if self._process is None:
            return
        try:
            self._process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        self._ready, told = os.pipe()
        os.set_blocking(self._ready, False)
        command = [sys.executable, "-m", self._program.module]
        command += [*self._program.arguments, "--ready", str(told)]
        command += ["--parent", str(os.getpid())]
        self._process = subprocess.Popen(  # noqa: S603  ourselves
            command,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            pass_fds=[*(each.fileno() for each in self._program.inherits), told],
            start_new_session=True,  # Ctrl-C reaches the supervisor alone
        )
        os.close(told)
        self._born = time.monotonic()

    def _note_ready(self, pipe: int) -> None:
        try:
            # Read in any case: a worker dies of a pipe that nobody reads to its end.
            told = os.read(pipe, 1)
            self.served = self.served or told == b"\n"
        except BlockingIOError:
            return
        self._forget_pipe()

    def _note_end(self, status: int) -> None:
        lived = time.monotonic() - self._born
        if lived > STEADY_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
        log.error(
            "a process ended; starting it again",
            name=self._program.name,
            status=status,
            pause_seconds=self._pause,
        )
        self._not_before = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        self._process = None
        self._forget_pipe()
        self._program.after()

    def _forget_pipe(self) -> None:
        if self._ready is not None:
            os.close(self._ready)
            self._ready = None
