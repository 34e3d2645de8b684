"""What a person sees of a long command: a moving bar, or a line every few seconds.

On a terminal a bar moves; into a file or a pipe goes a line every LINE_SECONDS. Goes to
the stream it is given (standard error), so that a command's result stays apart from it.
"""

import time
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

LINE_SECONDS = 5.0


class Meter:
    """The progress of one command, phase after phase. Use it as a context manager."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[count]:,} {task.fields[unit]}"),
            TextColumn("{task.fields[rate]:,.0f}/s"),
            TimeRemainingColumn(),
            console=self._console,
        )

    def __enter__(self) -> "Meter":
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def begin(self, what: str, *, total: int | None, unit: str) -> None:
        """Starts a phase; `total` is where it ends, None when that is not known."""
        self._what, self._total, self._unit = what, total, unit
        self._count = 0
        self._began = self._told = time.monotonic()
        self._task = self._bar.add_task(what, total=total, count=0, unit=unit, rate=0)

    def advance(self, amount: int) -> None:
        """Counts `amount` more of the phase's units."""
        count = self._count + amount
        seconds = max(time.monotonic() - self._began, 0.001)
        self.show(count, done=count, rate=count / seconds)

    def show(self, count: int, *, done: int, rate: float) -> None:
        """Shows a count; `done` is measured as `total` is, which may be in bytes."""
        self._count = count
        self._bar.update(self._task, completed=done, count=count, rate=rate)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._told >= LINE_SECONDS:
            self._told = now
            self.say(self._line(done, rate))

    def _line(self, done: int, rate: float) -> str:
        parts = [f"{self._count:,} {self._unit}", f"{rate:,.0f}/s"]
        if self._total and done:
            spent = time.monotonic() - self._began
            left = spent * max(self._total - done, 0) / done
            parts += [f"{100 * done / self._total:.0f} %", f"about {left:.0f} s left"]
        return (f"{self._what}: " if self._what else "") + ", ".join(parts)

    def say(self, text: str) -> None:
        """Prints a line of its own."""
        self._console.print(text, markup=False)
