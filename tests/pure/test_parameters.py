"""The query parameters of the log (contract §3)."""

from datetime import UTC, datetime

import pytest

from events import parameters
from events.parameters import InvalidParameter
from namespaces.names import InvalidEntityId


def test_without_parameters_everything_is_asked_for() -> None:
    query = parameters.query({})
    assert (query.entity_id, query.stream, query.source) == (None, None, None)
    assert (query.namespace, query.since, query.until) == (None, None, None)
    assert (query.before, query.limit) == (None, 100)


def test_each_parameter_arrives() -> None:
    query = parameters.query(
        {
            "entity": "a/b",
            "stream": "s.t",
            "source": "ü",
            "namespace": "a",
            "since": "2026-01-31T08:00:00Z",
            "until": "2026-02-01T08:00:00+01:00",
            "before": "9223372036854775807",
            "limit": "500",
            "unknown": "ignored",
        }
    )
    assert (query.entity_id, query.stream, query.source) == ("a/b", "s.t", "ü")
    assert query.namespace == "a"
    assert query.since == datetime(2026, 1, 31, 8, tzinfo=UTC)
    assert query.until == datetime(2026, 2, 1, 7, tzinfo=UTC)
    assert (query.before, query.limit) == ((1 << 63) - 1, 500)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31t08:00:00z", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ("2026-01-31 08:00:00-00:30", datetime(2026, 1, 31, 8, 30, tzinfo=UTC)),
        # A plus sign that nobody percent-encoded is a blank here.
        ("2026-01-31T08:00:00 01:00", datetime(2026, 1, 31, 7, tzinfo=UTC)),
        ("2026-01-31T08:00:00.5Z", datetime(2026, 1, 31, 8, 0, 0, 500_000, UTC)),
        (
            "2026-01-31T08:00:00.123456789Z",
            datetime(2026, 1, 31, 8, 0, 0, 123_456, UTC),
        ),
    ],
)
def test_a_time_is_rfc_3339(text: str, moment: datetime) -> None:
    assert parameters.query({"since": text}).since == moment


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("limit", "0"),
        ("limit", "501"),
        ("limit", "-1"),
        ("limit", "1.0"),
        ("limit", ""),
        ("limit", "x"),
        ("limit", "٣"),
        ("limit", " 1"),
        ("limit", "1" * 5_000),
        ("before", "0"),
        ("before", "9223372036854775808"),
        ("stream", ""),
        ("stream", "a\0"),
        ("source", "x" * 513),
        ("namespace", ""),
        ("since", "2026-01-31"),
        ("since", "2026-01-31T08:00:00"),
        ("since", "2026-01-31T08:00Z"),
        ("since", "2026-02-30T08:00:00Z"),
        ("since", "2026-01-31T25:00:00Z"),
        ("since", "2026-01-31T08:00:00+25:00"),
        ("since", "٢٠٢٦-01-31T08:00:00Z"),
        ("until", ""),
        ("until", "yesterday"),
        ("until", "1769846400"),
    ],
)
def test_a_wrong_parameter_is_named(name: str, text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parameters.query({name: text})
    assert caught.value.field == name
    assert name in caught.value.message


def test_an_entity_must_be_a_valid_id() -> None:
    with pytest.raises(InvalidEntityId) as caught:
        parameters.query({"entity": "/x"})
    assert caught.value.field == "entity"
