"""`manage.py flux_demo`: New York's flights of 2013 → the running server."""

import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import msgspec
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from events.demo import data, story
from events.importing import rows
from events.importing.checkpoint import CheckpointFile
from events.importing.importer import Importer, Item
from events.importing.records import Place
from events.importing.rows import Plan
from events.importing.sender import Sender
from events.management import terminal
from flux_project.errors import FluxError

_PLAN = Plan(
    entity=(), stream="nyc.flights", source=data.PACKAGE, import_id=data.PACKAGE
)
_OPENING = """
New York's three airports in 2013, {flights:,} flights and the weather, are played into
{url} in the order of time. Each flight is told to its aircraft, its
route and the airport it left, under {prefix}. Ctrl-C is safe: run it again to go on.
"""
_CLOSING = """
What the server has derived from them:

{counts}

{shown}

See for yourself:

  curl -s {url}/api/state/entities/{prefix}airport/JFK
  curl -s '{url}/api/state/entities?prefix={prefix}route/JFK-'
  curl -s '{url}/api/events?entity={prefix}aircraft/N328AA&limit=3'
  skills/flux/scripts/flux.sh get {prefix}aircraft/N328AA

Play it again: nothing is stored twice.
"""
_KINDS = {
    "aircraft": "aircraft",
    "route": "routes",
    "airport": "airports",
    "airline": "airlines",
}
_SHOWN = {
    "airport/JFK": ("name", "flights", "cancelled", "last_flight", "to"),
    "route/JFK-LAX": ("flights", "cancelled", "last_flight", "arr_delay", "distance"),
    "aircraft/N328AA": ("manufacturer", "model", "built", "flights", "last_flight"),
}


class Command(BaseCommand):
    help = "Import 336,776 real flights into the running Flux."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--quick", action="store_true", help="January only, a twelfth of it"
        )
        terminal.add_server_arguments(parser)

    def handle(self, *args: object, **given: Any) -> None:
        try:
            self._play(given)
        except FluxError as error:
            self.stderr.write(error.message)
            sys.exit(terminal.EXIT_FAILED)
        except KeyboardInterrupt:
            self.stderr.write(f"Interrupted. {terminal.GOES_ON}")
            sys.exit(terminal.EXIT_INTERRUPTED)

    def _play(self, given: dict[str, Any]) -> None:
        until = story.FEBRUARY_BEGINS if given["quick"] else story.YEAR_ENDS
        screen = terminal.Screen(
            sys.stderr,
            total=until - story.YEAR_BEGINS,
            position=lambda tally: tally.place.offset,
            unit="events",
        )
        with closing(terminal.connect(given, screen)) as sender:
            checkpoints = CheckpointFile(
                settings.FLUX_DATA_DIR / "imports", sender.url, data.PACKAGE
            )
            job = Importer(sender, screen, checkpoints, terminal.pace(given))
            year = data.Year(data.folder())
            flights = year.load()
            self.stdout.write(
                _OPENING.format(flights=flights, url=sender.url, prefix=story.PREFIX)
            )
            with screen:
                tally = job.run(_items(year, until, job.resume()))
            self.stdout.write(terminal.summary(tally, unit="events"))
            self.stdout.write(_closing(sender))


def _items(year: data.Year, until: int, start: Place) -> Iterator[Item]:
    """The events behind `start`, whose line is the number of those before."""
    for number, told in enumerate(year.events(until=until)):
        if number < start.line:
            continue
        event = rows.event_of(*told, _PLAN, line=number)
        passed = told.occurred_at - story.YEAR_BEGINS
        yield Item(number, Place(number + 1, passed), event, b"")


def _closing(sender: Sender) -> str:
    prefix = story.PREFIX
    counts = [
        f"  {sender.count(f'{prefix}{kind}/'):>6,} {plural}"
        for kind, plural in _KINDS.items()
    ]
    shown = [f"  {prefix}{name}  {_some(sender, name)}" for name in _SHOWN]
    return _CLOSING.format(
        url=sender.url,
        prefix=prefix,
        counts="\n".join(counts),
        shown="\n".join(shown),
    )


def _some(sender: Sender, name: str) -> str:
    """The properties of an entity that a first look should show, as JSON."""
    properties = sender.entity(story.PREFIX + name)
    chosen = {key: properties[key] for key in _SHOWN[name] if key in properties}
    return msgspec.json.encode(chosen).decode()
