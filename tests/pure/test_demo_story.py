"""The flights become events in the order of time, with running totals."""

from typing import Any

from events.demo import story
from events.demo.story import Told


def flight(**changed: str) -> dict[str, str]:
    row = {
        **{"year": "2013", "month": "1", "day": "1", "hour": "5", "minute": "15"},
        **{"dep_time": "517", "dep_delay": "2", "arr_delay": "11", "carrier": "UA"},
        **{"flight": "1545", "tailnum": "N14228", "origin": "EWR", "dest": "IAH"},
        **{"air_time": "227", "distance": "1400", "time_hour": "2013-01-01T10:00:00Z"},
    }
    return {**row, **changed}


def told(*rows: dict[str, str], weather: tuple[dict[str, str], ...] = ()) -> list[Told]:
    observed = [(story.YEAR_BEGINS + at, row) for at, row in enumerate(weather)]
    return list(story.year([(story.scheduled(row), row) for row in rows], observed))


def of(events: list[Told], entity_id: str) -> list[dict[str, Any]]:
    return [event.properties for event in events if event.entity_id == entity_id]


def test_a_flight_is_told_to_its_aircraft_its_route_and_its_airport() -> None:
    events = told(flight())
    assert [event.entity_id for event in events] == [
        "nyc/aircraft/N14228",
        "nyc/route/EWR-IAH",
        "nyc/airport/EWR",
    ]
    assert {event.occurred_at for event in events} == {1357035300000}
    aircraft = events[0].properties
    assert aircraft["last_flight"] == "UA1545"
    assert aircraft["scheduled_at"] == "2013-01-01T10:15:00Z"
    assert aircraft["status"] == "landed"
    assert aircraft["flights"] == 1


def test_a_flight_without_tail_number_has_no_aircraft() -> None:
    events = told(flight(tailnum="NA"))
    assert [event.entity_id for event in events] == [
        "nyc/route/EWR-IAH",
        "nyc/airport/EWR",
    ]
    assert events[0].properties["aircraft"] is None


def test_totals_run_and_a_cancelled_flight_wipes_the_delays_before_it() -> None:
    gone = flight(dep_time="NA", dep_delay="NA", arr_delay="NA", air_time="NA")
    lost = flight(arr_delay="NA", air_time="NA")
    seen = of(told(flight(), gone, lost), "nyc/route/EWR-IAH")
    assert [one["status"] for one in seen] == ["landed", "cancelled", "departed"]
    assert [(one["flights"], one["cancelled"]) for one in seen] == [
        (1, 0),
        (1, 1),
        (2, 1),
    ]
    assert seen[1]["dep_delay"] is None


def test_weather_and_flights_are_one_story_in_the_order_of_time() -> None:
    weather = {
        **{"origin": "EWR", "time_hour": "2013-01-01T06:00:00Z", "temp": "39.02"},
        **{"humid": "59.37", "wind_speed": "10.357", "wind_dir": "NA"},
        **{"precip": "0", "visib": "10"},
    }
    events = told(flight(), weather=(weather,))
    assert events == sorted(events, key=lambda event: event.occurred_at)
    assert events[0].entity_id == "nyc/airport/EWR"
    assert events[0].properties["wind_from_degrees"] is None
