"""The log: one order for all writers and readers, and its pages (contract §3)."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from psycopg import Connection
from psycopg.rows import TupleRow

from events import history, ingest
from events.commands import Stored
from events.history import Query
from events.models import Event
from flux_project import database
from flux_project.database import Session
from tests.support.said import World, append

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_commit_order_is_seq_order_for_a_reader_that_polls(world: World) -> None:
    """Four writers; a reader that goes on after the last seq it saw misses nothing."""
    answers: list[int] = []

    def write(number: int) -> None:
        session = Session(name="a test writes")
        for turn in range(40):
            commands = [append(f"a/{number}", {"n": turn}) for _ in range(turn % 3 + 1)]
            outcomes = ingest.commit_group(session, commands)
            answers.extend(one.seq for one in outcomes if isinstance(one, Stored))
        session.drop()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    seen: list[int] = []
    is_last = False
    while not is_last:
        is_last = not any(writer.is_alive() for writer in writers)
        after = seen[-1] if seen else 0
        query = "SELECT seq FROM events_event WHERE seq > %s ORDER BY seq"
        seen += [seq for (seq,) in world.rows(query, after)]
    assert seen == list(range(1, len(seen) + 1))
    assert sorted(answers) == seen


@pytest.fixture
def stored(world: World) -> list[Event]:
    """Sixty events of three entities, one every two seconds; some at the same time."""
    events = [
        Event(
            seq=seq,
            event_id=str(seq),
            stream="st"[seq % 2],
            source="uv"[seq % 5 == 0],
            namespace="ab"[seq % 3 == 0],
            entity_id=f"{'ab'[seq % 3 == 0]}/{seq % 3}",
            occurred_at=1,
            recorded_at=START + timedelta(seconds=seq // 4 * 8),
            payload='{"entity_id":"x","properties":{}}',
        )
        for seq in range(1, 61)
    ]
    return Event.objects.bulk_create(events)


QUERIES = [
    Query(),
    Query(entity_id="a/1"),
    Query(stream="s"),
    Query(source="v", stream="t"),
    Query(namespace="b"),
    Query(namespace="b", entity_id="a/1"),
    Query(entity_id="b/0", source="v"),
    Query(stream="none"),
    Query(since=START + timedelta(seconds=40)),
    Query(since=START + timedelta(seconds=41)),
    Query(until=START + timedelta(seconds=40)),
    Query(until=START),
    Query(since=START + timedelta(days=1)),
    Query(since=START + timedelta(seconds=16), until=START + timedelta(seconds=64)),
    Query(since=START + timedelta(seconds=16), entity_id="a/2"),
    Query(since=START + timedelta(seconds=64), until=START + timedelta(seconds=16)),
    Query(before=30, until=START + timedelta(seconds=40)),
    Query(before=10, until=START + timedelta(seconds=90)),
    Query(before=1),
    Query(before=(1 << 63) - 1),
]


def is_wanted(event: Event, query: Query) -> bool:
    return (
        query.entity_id in {None, event.entity_id}
        and query.stream in {None, event.stream}
        and query.source in {None, event.source}
        and query.namespace in {None, event.namespace}
        and (query.since is None or event.recorded_at >= query.since)
        and (query.until is None or event.recorded_at < query.until)
        and (query.before is None or event.seq < query.before)
    )


@pytest.mark.parametrize("window", [3, 10_000])
@pytest.mark.parametrize("limit", [1, 4, 100])
def test_paging_back_gives_every_event_once_newest_first(
    stored: list[Event], monkeypatch: pytest.MonkeyPatch, window: int, limit: int
) -> None:
    monkeypatch.setattr(history, "WINDOW", window)
    with database.connect(name="a test reads") as connection:
        for query in QUERIES:
            wanted = [event.seq for event in stored if is_wanted(event, query)]
            assert paged(connection, query, limit) == wanted[::-1], query


def paged(connection: Connection[TupleRow], query: Query, limit: int) -> list[int]:
    """All that a query finds, page after page."""
    found: list[int] = []
    before = query.before
    for _ in range(200):
        page = history.find(connection, replace(query, before=before, limit=limit))
        assert len(page.events) <= limit
        if before is not None and page.next_before is not None:
            assert page.next_before < before
        found += [seq for seq, _ in page.events]
        before = page.next_before
        if before is None:
            return found
    pytest.fail("the pages do not end")


def test_without_a_narrow_window_a_page_is_full(stored: list[Event]) -> None:
    with database.connect(name="a test reads") as connection:
        page = history.find(connection, Query(source="v", limit=5))
    assert [seq for seq, _ in page.events] == [60, 55, 50, 45, 40]
    assert page.next_before == 40


def test_a_page_is_cut_into_stretches_of_bounded_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history, "CHUNK_BYTES", 10)
    found = history.Found([(9, 4), (8, 6), (7, 50), (5, 1), (4, 1)], None)
    assert list(history.chunks(found)) == [[9, 8], [7], [5, 4]]
