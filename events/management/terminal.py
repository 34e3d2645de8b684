"""What a person sees of an import: options of the server, progress, refusals, the sum.

Progress and refusals go to standard error, the sum to standard output.
"""

import argparse
import logging
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TextIO

import msgspec
from django.conf import settings
from django.core.management.base import CommandError

from events.importing.importer import Item, Pace, Tally
from events.importing.sender import Sender
from flux_project import env
from flux_project.progress import Meter

DEFAULT_URL = f"http://localhost:{settings.PORT}"
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
GOES_ON = "The same command again goes on from here; nothing is stored twice."
SHOWN_REFUSALS = 20
_LONGEST_BATCH = 100_000


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that every import has."""
    group = parser.add_argument_group("server")
    group.add_argument(
        "--url",
        default=env.text("FLUX_URL", DEFAULT_URL),
        help=f"the Flux server (default: $FLUX_URL, else {DEFAULT_URL})",
    )
    group.add_argument(
        "--token",
        default=env.text("FLUX_TOKEN"),
        help="its bearer token (default: $FLUX_TOKEN, which other users cannot see)",
    )
    group.add_argument(
        "--batch-size",
        type=number(1, _LONGEST_BATCH),
        default=1000,
        metavar="N",
        help="events a request (default 1000; never more than 8 MiB)",
    )
    group.add_argument(
        "--concurrency",
        type=number(1, 16),
        default=1,
        metavar="N",
        help="requests at a time (default 1: the log keeps the file's order; "
        "more: only each entity's events do)",
    )
    group.add_argument(
        "--patience",
        type=number(1, 86_400),
        default=300,
        metavar="SECONDS",
        help="how long a server that does not answer is tried (default 300)",
    )


def number(low: int, high: int) -> Callable[[str], int]:
    """An argparse type: a whole number from low to high."""

    def read(text: str) -> int:
        if text.isdecimal() and low <= int(text) <= high:
            return int(text)
        message = f"must be a whole number from {low} to {high}"
        raise argparse.ArgumentTypeError(message)

    return read


class Screen:
    """An import's Watch. Use it as a context manager; it owns the rejects file.

    total: what `position` ends at, or None; unit: what a row is called.
    """

    def __init__(
        self,
        stderr: TextIO,
        *,
        total: int | None,
        position: Callable[[Tally], int],
        unit: str = "rows",
        rejects: str | None = None,
    ) -> None:
        self._meter = Meter(stderr)
        self._meter.begin("", total=total, unit=unit)
        self._position = position
        self._rejects_path = rejects
        self._rejects: TextIO | None = None
        self._shown = 0

    def __enter__(self) -> "Screen":
        if self._rejects_path:
            try:
                self._rejects = Path(self._rejects_path).open("a", encoding="utf-8")
            except OSError as error:
                message = f"--rejects {self._rejects_path}: {error.strerror}."
                raise CommandError(message) from None
        self._meter.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._meter.__exit__(kind, error, trace)
        if self._rejects:
            self._rejects.close()

    def say(self, text: str) -> None:
        self._meter.say(text)

    def refused(self, item: Item, reason: str) -> None:
        """Shows the first few; the rejects file gets every one."""
        self._shown += 1
        if self._shown <= SHOWN_REFUSALS:
            self.say(f"line {item.line} refused: {reason}")
        elif self._shown == SHOWN_REFUSALS + 1:
            self.say("Further refusals are only counted (--rejects FILE keeps them).")
        if self._rejects:
            self._rejects.write(_reject(item, reason))

    def progress(self, tally: Tally) -> None:
        self._meter.show(
            tally.skipped + tally.read,
            done=self._position(tally),
            rate=tally.read / max(tally.seconds, 0.001),
        )


def _reject(item: Item, reason: str) -> str:
    """One JSON line: where, why, and the row as it stands in the file."""
    row = item.raw.decode(errors="replace").rstrip("\r\n")
    said = {"line": item.line, "error": reason, "row": row}
    return msgspec.json.encode(said).decode() + "\n"


def connect(options: dict[str, object], screen: Screen) -> Sender:
    """The server that the options name."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return Sender(
        str(options["url"]),
        token=str(options["token"]),
        patience_seconds=float(str(options["patience"])),
        on_wait=screen.say,
    )


def pace(options: dict[str, object]) -> Pace:
    return Pace(
        batch_size=int(str(options["batch_size"])),
        connections=int(str(options["concurrency"])),
    )


def summary(tally: Tally, *, unit: str = "rows") -> str:
    """What came of it, in one paragraph."""
    seconds = tally.seconds
    lines = [
        f"{tally.read:,} {unit} in {seconds:.1f} s ({tally.read / seconds:,.0f}/s): "
        f"{tally.stored:,} stored, {tally.duplicates:,} stored before, "
        f"{tally.refused:,} refused."
    ]
    if tally.skipped:
        lines.append(f"{tally.skipped:,} {unit} before them were settled earlier.")
    if tally.last_seq:
        lines.append(f"The last one stands at seq {tally.last_seq:,} of the log.")
    return "\n".join(lines)
