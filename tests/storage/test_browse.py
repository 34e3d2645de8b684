"""What the admin asks costs the same in a world of any size."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import pytest
from django.db import connection as django_connection
from psycopg import Connection
from psycopg.rows import TupleRow

from events import browse as log
from flux_project import database as raw
from state import browse as state
from tests.support.client import event
from tests.support.world import publish

pytestmark = pytest.mark.usefixtures("database")

ROWS = 1500
BOUND = max(log.PAGE_ROWS, state.PAGE_ROWS) + 1


class Recorder:
    """A connection that keeps what was asked, for explaining it afterwards."""

    def __init__(self, real: Connection[TupleRow]) -> None:
        self.real = real
        self.asked: list[tuple[str, Sequence[object]]] = []

    def execute(self, query: str, parameters: Sequence[object]) -> Any:
        self.asked.append((query, parameters))
        return self.real.execute(query, parameters)

    def plans(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for query, parameters in self.asked:
            explained = "EXPLAIN (ANALYZE, FORMAT JSON) " + query
            row = self.real.execute(explained, parameters).fetchone()
            assert row is not None
            yield query, row[0][0]["Plan"]


@pytest.fixture
def recorder(database: None) -> Iterator[Recorder]:
    publish(*[event(f"n/{n:04}", {"n": n}) for n in range(ROWS)])
    publish(*[event("n/0700", {"n": n}) for n in range(ROWS)])
    with django_connection.cursor() as cursor:
        cursor.execute("ANALYZE events_event, state_entity")
    real = raw.connect(name="tests")
    yield Recorder(real)
    real.close()


def rows_touched(plan: dict[str, Any]) -> int:
    """The most rows that any step of a plan read, the discarded ones included."""
    own = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    return max([int(own), *map(rows_touched, plan.get("Plans", []))])


QUESTIONS: list[Callable[[Connection[TupleRow]], object]] = [
    lambda asked: log.page(asked),
    lambda asked: log.page(asked, before=2000),
    lambda asked: log.page(asked, after=1000),
    lambda asked: log.page(asked, entity_id="n/0700", before=2500),
    lambda asked: log.page(asked, entity_id="n/0700", after=1600),
    lambda asked: log.page(asked, entity_id="n/0001"),
    lambda asked: log.one(asked, 1234),
    lambda asked: state.page(asked),
    lambda asked: state.page(asked, prefix="n/07"),
    lambda asked: state.page(asked, prefix="n/070"),
    lambda asked: state.page(asked, prefix="n/0", after="n/0500"),
    lambda asked: state.page(asked, before="n/0900"),
    lambda asked: state.page(asked, prefix="m"),
    lambda asked: state.one(asked, "n/0700"),
]


@pytest.mark.parametrize("plans", ["force_custom_plan", "force_generic_plan"])
def test_no_question_reads_more_rows_than_a_page(
    recorder: Recorder, plans: str
) -> None:
    """Under the plans for these very values, and under those for any values."""
    recorder.real.execute(f"SET plan_cache_mode = {plans}")
    for question in QUESTIONS:
        question(cast(Connection[TupleRow], recorder))
    assert len(recorder.asked) >= len(QUESTIONS)
    for query, plan in recorder.plans():
        assert not re.search(r"\b(count|offset)\b", query, re.IGNORECASE), query
        assert rows_touched(plan) <= BOUND, (query, plan)
