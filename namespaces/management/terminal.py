"""What who administrates tenants from a shell sees, and is asked.

What was asked for goes to standard output, what is said beside it to standard error.
Invariant: a token is written once, to standard output; where that is no terminal, it
stands there alone.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NoReturn

import msgspec
from django.core.management.base import CommandParser
from django.db import OperationalError, ProgrammingError
from rich import box
from rich.console import Console
from rich.prompt import Confirm
from rich.table import Table

from flux_project import sentences
from flux_project.database import DatabaseUnavailable
from flux_project.errors import FluxError

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
NO_TABLES = "This database has no tables of Flux yet: start Flux first (make run)."
# Beyond any table: where no person looks, no line is broken.
_WIDE = 2_000
_UNDEFINED_TABLE = "42P01"
_DURATION = re.compile(r"([0-9]{1,9})([smhdw]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def run(work: Callable[[], None]) -> None:
    """Does it; of what goes wrong it says one sentence, and exits."""
    try:
        work()
    except FluxError as error:
        cause = error.__cause__
        reason = None if cause is None else sentences.of(cause)
        stop(reason or error.message)
    except OperationalError as error:
        stop(sentences.of(error) or DatabaseUnavailable().message)
    except ProgrammingError as error:
        if getattr(error.__cause__, "sqlstate", None) != _UNDEFINED_TABLE:
            raise
        stop(NO_TABLES)
    except KeyboardInterrupt:
        stop("Interrupted.", status=EXIT_INTERRUPTED)


def stop(sentence: str, *, status: int = EXIT_FAILED) -> NoReturn:
    sys.stderr.write(f"{sentence}\n")
    sys.exit(status)


def say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")


def confirm(question: str, *, is_sure: bool) -> None:
    """Goes on only with a yes: that of --yes, or of who sits at a terminal."""
    if is_sure:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        stop("Nobody can be asked here: say --yes. Nothing was changed.")
    try:
        is_sure = Confirm.ask(question, console=_console(sys.stderr), default=False)
    except EOFError:
        is_sure = False
    if not is_sure:
        stop("Nothing was changed.")


def show_token(
    text: str, lines: Sequence[str], *, given: Mapping[str, object], fields: object
) -> None:
    """A new token, the only time that it is shown.

    lines: what else a person wants to know. given: the options of `add_output`.
    fields: the whole for --json.
    """
    if given["json"]:
        show_json(fields)
    elif given["quiet"]:
        say(text)
    elif sys.stdout.isatty():
        console = _console(sys.stdout)
        for line in (*lines, f"Token      {text}"):
            console.print(line, soft_wrap=True)
        console.print("It is shown this once: only its hash is kept.")
    else:
        say(text)
        sys.stderr.write("\n".join([*lines, ""]))


def show_json(value: object) -> None:
    say(msgspec.json.encode(value).decode())


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """For people a table; elsewhere the same in columns, a line each."""
    is_watched = sys.stdout.isatty()
    table = Table(
        *columns, box=box.SIMPLE_HEAD if is_watched else None, pad_edge=is_watched
    )
    for row in rows:
        table.add_row(*[_cell(value) for value in row])
    _console(sys.stdout).print(table)


def _console(file: object) -> Console:
    # What is shown is data: no part of it is markup.
    width = None if sys.stdout.isatty() else _WIDE
    return Console(
        file=file,  # type: ignore[arg-type]  # one of the two streams
        width=width,
        markup=False,
        emoji=False,
        highlight=False,
    )


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
    # A terminal obeys some characters.
    return "".join(one if one.isprintable() else "�" for one in str(value))


def duration(text: str) -> int:
    """`90`, `90s`, `15m`, `12h`, `30d` or `4w` in seconds; for argparse."""
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None:
        message = f"{text!r} is no length of time, such as 90s, 15m, 12h, 30d or 4w"
        raise argparse.ArgumentTypeError(message)
    number, unit = match.groups()
    return int(number) * _SECONDS[unit]


def add_output(parser: CommandParser, *, has_token: bool = False) -> None:
    """The options that say how the result is written."""
    parser.add_argument(
        "--json", action="store_true", help="print the result as one JSON object"
    )
    if has_token:
        parser.add_argument(
            "--quiet", action="store_true", help="print the token, and nothing else"
        )


def add_yes(parser: CommandParser) -> None:
    parser.add_argument(
        "--yes", action="store_true", help="do not ask; needed where nobody can be"
    )
