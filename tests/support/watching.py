"""`flux.sh watch` as a process, whose lines are read as they come.

Invariant: every wait is bounded, and the process is ended by its id alone.
"""

import os
import pty
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, Self

import psutil

from tests.support import exactly
from tests.support.skill import FOLDER, SCRIPT, Ended, Skill
from tests.support.view import Frame

SECONDS = 30.0


class Watch:
    """One watch. on_terminal: its stdout is one, as for a person."""

    def __init__(
        self, skill: Skill, *arguments: str, on_terminal: bool = False
    ) -> None:
        self.out: list[str] = []
        self.err: list[str] = []
        self._news = threading.Condition()
        environment = {"PATH": skill.path, "FLUX_URL": skill.url, "LANG": "C.UTF-8"}
        reading, writing = pty.openpty() if on_terminal else os.pipe()
        self.process = subprocess.Popen(
            [str(SCRIPT), "watch", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.PIPE,
            cwd=FOLDER,
            env=environment | dict(skill.environment),
        )
        os.close(writing)
        assert self.process.stderr is not None
        self._threads = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in (
                (os.fdopen(reading, "rb"), self.out),
                (self.process.stderr, self.err),
            )
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.send_signal(signal.SIGCONT)  # in case it was stopped
            self.ended()

    def _read(self, stream: IO[bytes], lines: list[str]) -> None:
        # A terminal ends with an error where a pipe just ends.
        with stream, suppress(OSError):
            for raw in stream:
                with self._news:
                    lines.append(raw.decode().rstrip("\r\n"))
                    self._news.notify_all()

    def wait(self, condition: Callable[[], object], *, what: str) -> None:
        """Until the condition is met, which is looked at when a line has come."""
        with self._news:
            found = self._news.wait_for(condition, SECONDS)
        assert found, f"never came: {what}; {self.out[-3:]}; {self.err}"

    def wait_for(self, text: str) -> None:
        """Until a line of stdout holds this."""
        self.wait(lambda: any(text in line for line in self.out), what=text)

    def wait_to_say(self, text: str) -> None:
        """Until a line of stderr holds this."""
        self.wait(lambda: any(text in line for line in self.err), what=text)

    def begun(self) -> Self:
        self.wait_for('"type":"subscribed"')
        return self

    def end(self, number: signal.Signals) -> Ended:
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> Ended:
        """How it ended by itself."""
        status = self.process.wait(SECONDS)
        for thread in self._threads:
            thread.join(SECONDS)
            assert not thread.is_alive(), "something still holds its output"
        return Ended(status, "\n".join(self.out), "\n".join(self.err))

    def programs(self) -> list[psutil.Process]:
        """What runs for it."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def command_lines(self) -> list[str]:
        """Of these programs, but for those that have just ended."""
        lines: list[str] = []
        for program in self.programs():
            with suppress(psutil.NoSuchProcess):  # a zombie is none either
                lines.append(" ".join(program.cmdline()))
        return lines

    @property
    def frames(self) -> list[Frame]:
        return [exactly.loads(line) for line in self.out]

    @property
    def events(self) -> Iterator[Frame]:
        """Those that are not about the connection."""
        for frame in self.frames:
            if frame["type"] in {"state_update", "entity_touched", "entity_deleted"}:
                yield frame
