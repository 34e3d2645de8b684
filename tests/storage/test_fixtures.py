"""The fixtures keep their promises: each test meets an empty, working Flux."""

import pytest
from django.db import connection, transaction

from events.models import Event, Log
from namespaces.models import RuntimeConfig

pytestmark = pytest.mark.usefixtures("database")


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_meets_an_empty_log_with_its_single_rows(turn: int) -> None:
    assert Event.objects.count() == 0
    assert Log.objects.count() == 1
    assert RuntimeConfig.objects.count() == 1
    Event.objects.create(
        seq=turn,
        event_id="e",
        stream="s",
        source="s",
        namespace="default",
        entity_id="a",
        occurred_at=1,
        recorded_at="2026-01-01T00:00:00Z",
        payload="{}",
    )


def test_a_commit_is_real() -> None:
    called = []
    with transaction.atomic():
        transaction.on_commit(lambda: called.append(connection.vendor))
    assert called == ["postgresql"]
