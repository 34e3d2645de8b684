"""The web server processes. Invariant: as many as wanted, each started again when it
ends, with a longer pause each time it ended soon after its start.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import structlog
from django.conf import settings

from flux_project import shared_metrics

log = structlog.get_logger("flux.workers")

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 15.0
STEADY_SECONDS = 30.0  # after this long a worker counts as healthy
PROJECT = Path(__file__).resolve().parent.parent


class Worker:
    """One place for a process, and the process that is there now."""

    def __init__(self, number: int, listening: socket.socket) -> None:
        self._number = number
        self._listening = listening
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
        listening = self._listening.fileno()
        self._ready, told = os.pipe()
        os.set_blocking(self._ready, False)
        command = [sys.executable, "-m", "flux_project.web"]
        command += ["--socket", str(listening), "--ready", str(told)]
        command += ["--parent", str(os.getpid()), "--worker", str(self._number)]
        self._process = subprocess.Popen(  # noqa: S603  ourselves
            command,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            pass_fds=[listening, told],
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
            "a web worker ended; starting it again",
            worker=self._number,
            status=status,
            pause_seconds=self._pause,
        )
        self._not_before = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        self._process = None
        self._forget_pipe()
        shared_metrics.leave(settings.FLUX_DATA_DIR, self._number)

    def _forget_pipe(self) -> None:
        if self._ready is not None:
            os.close(self._ready)
            self._ready = None
