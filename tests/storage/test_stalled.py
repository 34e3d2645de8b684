"""Which jobs are taken from their worker: those of one that is no more."""

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections
from procrastinate import App, PsycopgConnector
from procrastinate.contrib.django import app as django_app
from procrastinate.contrib.django import connector_params

from flux_project import stalled

pytestmark = pytest.mark.usefixtures("database")


def do(query: str, *values: str | float | None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())


def worker(seconds_ago: float) -> int:
    [(made,)] = do(
        "INSERT INTO procrastinate_workers (last_heartbeat)"
        " VALUES (now() - make_interval(secs => %s)) RETURNING id",
        seconds_ago,
    )
    return int(made)


def job(of: int | None, lock: str | None = None, status: str = "doing") -> int:
    [(made,)] = do(
        "INSERT INTO procrastinate_jobs"
        " (queue_name, task_name, status, worker_id, queueing_lock)"
        " VALUES ('default', 'nothing', %s, %s, %s) RETURNING id",
        status,
        of,
        lock,
    )
    return int(made)


def found() -> dict[int, str]:
    rows = do("SELECT id, status FROM procrastinate_jobs")
    connections.close_all()
    return dict(rows)


async def put_back(mine: int | None = None) -> None:
    connector = PsycopgConnector(kwargs=connector_params(), min_size=1, max_size=1)
    app: App = django_app.with_connector(connector)
    async with app.open_async():
        await stalled.put_back(app, mine=mine)


async def test_only_the_jobs_of_a_worker_that_is_no_more_are_put_back() -> None:
    def arrange() -> dict[int, str]:
        living, dead = worker(20), worker(40)
        expected = {
            job(living): "doing",
            job(dead): "todo",
            job(None): "todo",
            job(None, status="failed"): "failed",
        }
        connections.close_all()
        return expected

    expected = await sync_to_async(arrange)()
    await put_back()
    assert await sync_to_async(found)() == expected


async def test_who_asks_keeps_its_own_however_late_its_sign_of_life() -> None:
    def arrange() -> tuple[int, dict[int, str]]:
        mine, other = worker(100), worker(100)
        expected = {job(mine): "doing", job(other): "todo"}
        connections.close_all()
        return mine, expected

    mine, expected = await sync_to_async(arrange)()
    await put_back(mine)
    assert await sync_to_async(found)() == expected


async def test_of_jobs_with_one_queueing_lock_one_is_kept() -> None:
    def arrange() -> set[int]:
        kept = {job(None, "two begun"), job(None, "one waits", "todo")}
        job(None, "two begun")
        job(None, "one waits")
        connections.close_all()
        return kept

    kept = await sync_to_async(arrange)()
    await put_back()
    assert await sync_to_async(found)() == dict.fromkeys(kept, "todo")
