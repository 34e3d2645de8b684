"""What the flights of 2013 say, in the order of time.

Invariant: the same rows give the same events in the same order, so that the demo can be
broken off and run again. Each flight is told to its aircraft, its route and the airport
it left; running totals (`flights`, `departures`, `cancelled`) let anyone check the sum.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from events.importing import times, values

NEW_YORK = times.Reading(zone=times.zone("America/New_York"))
PREFIX = "nyc/"
MISSING = "NA"
SCHEDULED = ("year", "month", "day", "hour", "minute")
YEAR_BEGINS = times.from_parts(("2013", "1", "1"), NEW_YORK)
YEAR_ENDS = times.from_parts(("2014", "1", "1"), NEW_YORK)
FEBRUARY_BEGINS = times.from_parts(("2013", "2", "1"), NEW_YORK)

_WEATHER = {
    "temperature_f": "temp",
    "humidity_percent": "humid",
    "wind_mph": "wind_speed",
    "wind_from_degrees": "wind_dir",
    "rain_inches": "precip",
    "visibility_miles": "visib",
}
_AIRPORT = {
    "name": "name",
    "latitude": "lat",
    "longitude": "lon",
    "altitude_feet": "alt",
    "timezone": "tzone",
}
_AIRCRAFT = {
    "manufacturer": "manufacturer",
    "model": "model",
    "type": "type",
    "seats": "seats",
    "built": "year",
}

Row = Mapping[str, str]


class Told(NamedTuple):
    """One event: whom it is about, what it says, epoch milliseconds."""

    entity_id: str
    properties: dict[str, object]
    occurred_at: int


def scheduled(flight: Row) -> int:
    """When the flight was to leave; epoch milliseconds."""
    return times.from_parts(tuple([flight[name] for name in SCHEDULED]), NEW_YORK)


def reference(kind: str, key: str, rows: Iterable[Row]) -> Iterator[Told]:
    """What is known at the year's beginning: an airline, an airport, an aircraft."""
    renamed = {"airport": _AIRPORT, "aircraft": _AIRCRAFT}.get(kind, {"name": "name"})
    for row in rows:
        told = _chosen(row, renamed)
        yield Told(f"{PREFIX}{kind}/{row[key]}", told, YEAR_BEGINS)


def year(
    flights: Iterable[tuple[int, Row]], weather: Iterable[tuple[int, Row]]
) -> Iterator[Told]:
    """Both, each in the order of time, as one story."""
    return heapq.merge(
        _departures(flights), _observations(weather), key=lambda told: told.occurred_at
    )


def _observations(weather: Iterable[tuple[int, Row]]) -> Iterator[Told]:
    for moment, row in weather:
        told = _chosen(row, _WEATHER)
        told["observed_at"] = row["time_hour"]
        yield Told(f"{PREFIX}airport/{row['origin']}", told, moment)


def _departures(flights: Iterable[tuple[int, Row]]) -> Iterator[Told]:
    flown: Counter[str] = Counter()
    cancelled: Counter[str] = Counter()
    for moment, row in flights:
        totals = cancelled if _status(row) == "cancelled" else flown
        for entity_id, told in _of_flight(row):
            totals[entity_id] += 1
            told["flights"] = flown[entity_id]
            told["cancelled"] = cancelled[entity_id]
            yield Told(entity_id, told, moment)


def _of_flight(row: Row) -> Iterator[tuple[str, dict[str, object]]]:
    """Whom a flight concerns and what it says to each; no tail number, no aircraft."""
    origin, dest, tail = row["origin"], row["dest"], row["tailnum"]
    news: dict[str, object] = {
        "last_flight": row["carrier"] + row["flight"],
        "airline": row["carrier"],
        "scheduled_at": f"{row['time_hour'][:14]}{int(row['minute']):02}:00Z",
        "status": _status(row),
        "dep_delay": _value(row["dep_delay"]),
    }
    rest = {name: _value(row[name]) for name in ("arr_delay", "air_time", "distance")}
    ends: dict[str, object] = {"origin": origin, "dest": dest}
    if tail != MISSING:
        yield f"{PREFIX}aircraft/{tail}", {**news, **ends, **rest}
    aircraft = _value(tail, is_text=True)
    yield (
        f"{PREFIX}route/{origin}-{dest}",
        {**news, **ends, "aircraft": aircraft, **rest},
    )
    yield f"{PREFIX}airport/{origin}", {**news, "to": dest, "aircraft": aircraft}


def _status(row: Row) -> str:
    """`departed`: no arrival is on record (diverted, most of them)."""
    if row["dep_time"] == MISSING:
        return "cancelled"
    return "departed" if row["arr_delay"] == MISSING else "landed"


def _chosen(row: Row, renamed: Mapping[str, str]) -> dict[str, object]:
    return {name: _value(row[column]) for name, column in renamed.items()}


def _value(text: str, *, is_text: bool = False) -> object:
    if text == MISSING:
        return None
    return text if is_text else values.infer(text)
