"""`manage.py flux_verify`: does the state follow from the log? (docs/operations.md)"""

import sys
from contextlib import closing
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandParser

from flux_project import database
from flux_project.progress import Meter
from state.verify import Difference, Report, verify

TIMEOUT_MS = 60_000
EXIT_DIFFERENT = 1
EXIT_INTERRUPTED = 130
_SHOWN_CHARACTERS = 60
_LEAD_CHARACTERS = 20


class Command(BaseCommand):
    """Reads only; a server may go on writing meanwhile."""

    help = "Replay the whole log and compare it with the state, byte for byte."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--json", action="store_true", help="print the report as one JSON object"
        )

    def handle(self, *args: object, **given: Any) -> None:
        connection = database.connect(timeout_ms=TIMEOUT_MS, name="flux verify")
        try:
            with closing(connection), Meter(sys.stderr) as meter:
                report = verify(connection, meter)
        except KeyboardInterrupt:
            self.stderr.write("Interrupted; nothing was changed.")
            sys.exit(EXIT_INTERRUPTED)
        if given["json"]:
            self.stdout.write(msgspec.json.encode(report).decode())
        else:
            self.stdout.write(sentences(report))
        if report.faults:
            sys.exit(EXIT_DIFFERENT)


def sentences(report: Report) -> str:
    """The report for people: what was compared, then the first differences."""
    lines = [
        f"{report.events:,} events, {report.entities:,} entities, "
        f"{report.namespaces:,} namespaces and {report.known_ids:,} client-given ids "
        "were compared."
    ]
    if not report.faults:
        return lines[0] + " No difference."
    lines.append(f"{report.faults:,} of them differ:")
    for difference in report.differences:
        expected, stored = shorten(difference)
        lines.append(f"  {difference.where}, {difference.column}:")
        lines += [f"    by the log {expected}", f"    stored     {stored}"]
    return "\n".join(lines)


def shorten(difference: Difference) -> tuple[str, str]:
    """Both values, cut to the neighbourhood of the first character that differs."""
    expected, stored = difference.expected, difference.stored
    same = 0
    for ours, theirs in zip(expected or "", stored or "", strict=False):
        if ours != theirs:
            break
        same += 1
    start = max(same - _LEAD_CHARACTERS, 0)
    return _cut(expected, start), _cut(stored, start)


def _cut(text: str | None, start: int) -> str:
    if text is None:
        return "(nothing)"
    end = start + _SHOWN_CHARACTERS
    before, after = "…" if start else "", "…" if len(text) > end else ""
    return f"{before}{text[start:end]}{after}"
