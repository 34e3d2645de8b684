"""The directory is rewritten when it is old and there is news; else it costs nought."""

import re
from collections.abc import Iterator

import pytest
from psycopg import Connection
from psycopg.rows import TupleRow

from events import ingest
from flux_project import database
from state import directory
from tests.support.said import World, append


@pytest.fixture
def connection(world: World) -> Iterator[Connection[TupleRow]]:
    with database.connect(name="a test", extra=database.BY_KEY) as found:
        yield found


def seq(world: World) -> int | None:
    """What it reflects; None when it was never written."""
    found = world.get(directory.ENTITY_ID)
    return found[directory.ENTITY_ID]["seq"] if found else None


def are_counted(connection: Connection[TupleRow]) -> bool:
    """Whether a refreshment looks at the namespaces."""
    with connection.transaction(force_rollback=True):
        rows = connection.execute(
            "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) " + directory._REWRITE,
            (directory.LEAST_AGE_SECONDS,),
        ).fetchall()
    plan = "\n".join(str(row[0]) for row in rows)
    scans = re.findall(r"Scan .*on state_count.*", plan)
    assert scans, plan
    return not all("never executed" in scan for scan in scans)


def test_it_is_rewritten_when_there_is_news_and_it_is_old(
    world: World, connection: Connection[TupleRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.refresh(connection)
    assert seq(world) == 0
    ingest.commit([append("a/1")])
    assert not are_counted(connection), "it is young"
    directory.refresh(connection)
    assert seq(world) == 0
    monkeypatch.setattr(directory, "LEAST_AGE_SECONDS", 0.0)
    directory.refresh(connection)
    assert seq(world) == 1


def test_while_the_log_stands_still_nothing_is_counted(
    world: World, connection: Connection[TupleRow]
) -> None:
    ingest.commit([append("a/1")])
    assert are_counted(connection), "it was never written"
    directory.refresh(connection)
    with connection.transaction():
        connection.execute("UPDATE state_entity SET updated_at = '2000-01-01'")
    assert not are_counted(connection)
    directory.refresh(connection)
    assert seq(world) == 1
