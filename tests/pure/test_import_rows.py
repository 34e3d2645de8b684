"""A row becomes an event as the plan says, the same one every time."""

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from events import envelope
from events.importing import rows, times
from events.importing.rows import Plan, Row, RowRefused

FLIGHT = {"tail": "N14228", "origin": "EWR", "at": "1357034400", "delay": "2", "x": ""}


def plan(**changed: Any) -> Plan:
    given: dict[str, Any] = {
        "entity": ("tail",),
        "source": "flights.csv",
        "import_id": "flights.csv",
    }
    return Plan(**{**given, **changed})


def said(row: Row, made: Plan, line: int = 2) -> dict[str, Any]:
    """The event's JSON; it must be one that the server takes."""
    text = rows.event(row, made, line=line).text
    envelope.parse(text)
    return dict(msgspec.json.decode(text))


def properties(row: Row, **changed: Any) -> dict[str, Any]:
    return dict(said(row, plan(**changed))["payload"]["properties"])


def test_every_column_but_entity_and_time_is_a_property() -> None:
    event = said(FLIGHT, plan(time=("at",), prefix="nyc/aircraft/", stream="flights"))
    assert event["stream"] == "flights"
    assert event["source"] == "flights.csv"
    assert event["timestamp"] == 1357034400000
    assert event["payload"] == {
        "entity_id": "nyc/aircraft/N14228",
        "properties": {"origin": "EWR", "delay": 2},
    }


def test_several_columns_make_one_id() -> None:
    row = {"a": "x", "b": "y/z", "c": "1"}
    event = said(row, plan(entity=("b", "a"), prefix="p/"))
    assert event["payload"]["entity_id"] == "p/y/z/x"


def test_without_a_time_column_the_server_dates_the_event() -> None:
    assert "timestamp" not in said(FLIGHT, plan())


def test_properties_are_chosen_and_renamed_in_the_order_given() -> None:
    chosen = properties(FLIGHT, properties={"late_by": "delay", "id": "tail"})
    assert list(chosen.items()) == [("late_by", 2), ("id", "N14228")]


def test_excluded_columns_are_left_out() -> None:
    assert properties(FLIGHT, exclude=frozenset({"at", "delay"})) == {"origin": "EWR"}


def test_a_missing_value_is_left_out_or_null() -> None:
    row = {"tail": "N1", "delay": "NA", "x": "", "y": "5"}
    nulls = frozenset({"", "NA"})
    assert properties(row, nulls=nulls) == {"y": 5}
    kept = properties(row, nulls=nulls, omit_nulls=False)
    assert kept == {"delay": None, "x": None, "y": 5}


def test_text_columns_stay_text() -> None:
    row = {"tail": "N1", "zip": "10001", "n": "5"}
    assert properties(row, text_columns=frozenset({"zip"})) == {"zip": "10001", "n": 5}
    assert properties(row, text_columns=None) == {"zip": "10001", "n": "5"}


def test_json_values_pass_through_as_they_stand() -> None:
    row = msgspec.json.decode(
        b'{"tail":"N\\u0031","a":1.10,"b":{"c":[1e2]},"d":null,"e":"007"}',
        type=dict[str, Raw],
    )
    made = rows.event(row, plan(omit_nulls=False), line=1)
    assert b'"entity_id":"N1"' in made.text
    assert b'"properties":{"a":1.10,"b":{"c":[1e2]},"d":null,"e":"007"}' in made.text
    assert properties(row)["e"] == "007"
    assert "d" not in properties(row)


def test_a_json_number_may_be_an_id_but_nothing_else_may() -> None:
    row = {"tail": Raw(b"12345678901234567890"), "x": Raw(b"1")}
    assert rows.event(row, plan(), line=1).entity_id == "12345678901234567890"
    for value in (b"true", b"[1]", b"{}"):
        with pytest.raises(RowRefused, match="tail"):
            rows.event({"tail": Raw(value)}, plan(), line=1)


@pytest.mark.parametrize("row", [{"tail": ""}, {"tail": "NA"}, {}])
def test_a_row_without_its_entity_is_refused(row: dict[str, str]) -> None:
    with pytest.raises(RowRefused, match="tail is empty"):
        rows.event(row, plan(nulls=frozenset({"", "NA"})), line=1)


def test_a_row_without_its_time_is_refused() -> None:
    with pytest.raises(RowRefused, match="at is empty"):
        rows.event({"tail": "N1", "at": ""}, plan(time=("at",)), line=1)


def test_undecodable_bytes_are_refused() -> None:
    with pytest.raises(RowRefused, match="encoding"):
        rows.event({"tail": "N1", "x": "\udcff"}, plan(), line=1)


def test_local_time_columns_are_read_in_their_zone() -> None:
    row = {"tail": "N1", "y": "2013", "m": "7", "d": "4", "h": "5", "min": "30"}
    reading = times.Reading(zone=times.zone("America/New_York"))
    made = plan(time=("y", "m", "d", "h", "min"), reading=reading)
    assert said(row, made)["timestamp"] == 1372930200000


def test_the_same_row_is_the_same_event_and_any_other_is_another() -> None:
    def event_id(row: Row = FLIGHT, line: int = 2, **changed: Any) -> str:
        return rows.event(row, plan(**changed), line=line).event_id

    others = {
        event_id(line=3),
        event_id({**FLIGHT, "delay": "3"}),
        event_id(import_id="other.csv"),
        event_id(time=("at",)),
        event_id(prefix="p/"),
        event_id(stream="other"),
    }
    assert event_id() == event_id()
    assert len(others) == 6
    assert event_id() not in others


def test_the_id_prefix_is_put_before() -> None:
    made = rows.event(FLIGHT, plan(id_prefix="a\u00e9/"), line=2)
    bare = rows.event(FLIGHT, plan(), line=2)
    assert made.event_id == "a\u00e9/" + bare.event_id
    assert msgspec.json.decode(made.text)["eventId"] == made.event_id
