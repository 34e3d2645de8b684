"""A job exists exactly if the transaction that deferred it commits."""

from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session
from django.db import connection, connections, transaction
from django.utils import timezone
from procrastinate import App, PsycopgConnector
from procrastinate.contrib.django import app, connector_params

from flux_project import jobs, tasks
from namespaces import change
from tests.support import shopping


class Stop(Exception):
    """The transaction is given up."""


@pytest.mark.parametrize("once", ["", "a purchase"])
def test_a_transaction_that_is_given_up_leaves_no_job(
    database: None, once: str
) -> None:
    def begin_and_stop() -> None:
        with change.transaction():
            jobs.defer("namespaces.settle", once=once, purchase_id="pur_1")
            assert len(shopping.jobs("settle")) == 1
            raise Stop

    with pytest.raises(Stop):
        begin_and_stop()
    assert shopping.jobs("settle") == []


def test_one_that_waits_already_is_enough(database: None) -> None:
    for _ in range(3):
        with change.transaction():
            jobs.defer("namespaces.settle", once="pur_1", purchase_id="pur_1")
            jobs.defer("namespaces.settle", once="pur_1", purchase_id="pur_1")
            # The transaction goes on, and what it did before stays.
            jobs.defer("namespaces.settle", once="pur_2", purchase_id="pur_2")
    assert shopping.jobs("settle") == [
        {"purchase_id": "pur_1"},
        {"purchase_id": "pur_2"},
    ]


def test_the_same_name_is_anothers_for_another_task(database: None) -> None:
    with transaction.atomic():
        jobs.defer("namespaces.settle", once="pur_1", purchase_id="pur_1")
        jobs.defer("namespaces.provision", once="pur_1", purchase_id="pur_1")
    assert len(shopping.jobs("settle")) == len(shopping.jobs("provision")) == 1


async def test_what_failed_long_ago_is_forgotten(database: None) -> None:
    def arrange() -> set[int]:
        with connection.cursor() as cursor:
            made = []
            for status, hours in (
                ("failed", 73),
                ("aborted", 73),
                ("failed", 71),
                ("todo", 100),
            ):
                cursor.execute(
                    "INSERT INTO procrastinate_jobs (queue_name, task_name, status)"
                    " VALUES ('default', 'nothing', %s) RETURNING id",
                    [status],
                )
                (job,) = cursor.fetchone()
                made.append(job)
                cursor.execute(
                    "UPDATE procrastinate_events SET at = now() - make_interval(hours"
                    " => %s) WHERE job_id = %s",
                    [hours, job],
                )
                cursor.execute(
                    "INSERT INTO procrastinate_events (job_id, type, at) SELECT %s,"
                    " %s::procrastinate_job_event_type,"
                    " now() - make_interval(hours => %s) WHERE %s <> 'todo'",
                    [job, status.replace("todo", "deferred"), hours, status],
                )
        connections.close_all()
        return set(made[2:])

    def left() -> set[int]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM procrastinate_jobs")
            found = {row[0] for row in cursor.fetchall()}
        connections.close_all()
        return found

    kept = await sync_to_async(arrange)()
    connector = PsycopgConnector(kwargs=connector_params(), min_size=1, max_size=1)
    worker_app: App = app.with_connector(connector)
    async with worker_app.open_async():
        await tasks.forget_ended(worker_app)
    assert await sync_to_async(left)() == kept


def test_sessions_that_are_over_are_forgotten(database: None) -> None:
    now = timezone.now()
    for key, hours in (("over", -1), ("open", 1)):
        Session.objects.create(
            session_key=key, session_data="", expire_date=now + timedelta(hours=hours)
        )
    tasks.forget_sessions(0)
    assert [one.session_key for one in Session.objects.all()] == ["open"]
