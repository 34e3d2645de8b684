"""`manage.py flux_import`: a CSV or JSON-lines file → events (docs/import.md)."""

import itertools
import sys
from contextlib import closing
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from events import envelope
from events.importing import files, importer
from events.importing.checkpoint import CheckpointFile, NoCheckpoint
from events.importing.importer import Importer, Item
from events.importing.records import START, Table
from events.importing.rows import Plan
from events.management import options, terminal
from flux_project.errors import FluxError

_DRY_ROWS = 10


class Command(BaseCommand):
    """Imports one file into a running server; needs no database of its own."""

    help = "Turn a CSV or JSON-lines file into events, through the public HTTP API."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        options.add_file_arguments(parser)
        terminal.add_server_arguments(parser)

    def handle(self, *args: object, **given: Any) -> None:
        try:
            refused = self._import(given)
        except FluxError as error:
            self.stderr.write(error.message)
            sys.exit(terminal.EXIT_FAILED)
        except KeyboardInterrupt:
            self.stderr.write(_how_to_go_on(given))
            sys.exit(terminal.EXIT_INTERRUPTED)
        if refused:
            sys.exit(terminal.EXIT_FAILED)

    def _import(self, given: dict[str, Any]) -> int:
        """The number of rows that were refused."""
        with files.open_input(given["file"], member=given["member"]) as source:
            layout = options.layout(given, source)
            table = Table(source.stream, layout)
            plan = options.plan(given, source, layout, table.columns)
            if given["dry_run"]:
                return self._show(table, plan, given["limit"] or _DRY_ROWS)
            return self._send(source, table, plan, given)

    def _send(
        self, source: files.Input, table: Table, plan: Plan, given: dict[str, Any]
    ) -> int:
        screen = terminal.Screen(
            sys.stderr,
            total=source.total,
            position=lambda tally: source.position(),
            rejects=given["rejects"],
        )
        checkpoints = _checkpoints(source, given)
        with closing(terminal.connect(given, screen)) as sender, screen:
            job = Importer(sender, screen, checkpoints, terminal.pace(given))
            start = job.resume()
            if start != START:
                screen.say(f"Going on behind line {start.line:,}.")
            items = importer.items(table.records(start), plan)
            if given["limit"]:
                left = max(given["limit"] - job.tally.skipped, 0)
                items = itertools.islice(items, left)
            tally = job.run(items)
        self.stdout.write(terminal.summary(tally))
        return tally.refused

    def _show(self, table: Table, plan: Plan, limit: int) -> int:
        """Prints the first rows' events, or why they would be refused."""
        refused = 0
        for item in itertools.islice(importer.items(table.records(), plan), limit):
            try:
                self.stdout.write(_checked(item))
            except FluxError as error:
                refused += 1
                self.stderr.write(f"line {item.line} refused: {error.message}")
        return refused


def _checked(item: Item) -> str:
    """The event's text. Raises what the server would answer."""
    if isinstance(item.event, FluxError):
        raise item.event
    envelope.parse(item.event.text)
    return item.event.text.decode()


def _checkpoints(source: files.Input, given: dict[str, Any]) -> CheckpointFile:
    if source.fingerprint is None:
        return NoCheckpoint()
    identity = (given["url"], source.fingerprint, options.identity(given))
    return CheckpointFile(settings.FLUX_DATA_DIR / "imports", *identity)


def _how_to_go_on(given: dict[str, Any]) -> str:
    if given["file"] == files.STDIN and not given["import_id"]:
        return (
            "Interrupted. Without --import-id the next run stores everything once "
            "more; give the same --import-id to every run."
        )
    return f"Interrupted. {terminal.GOES_ON}"
