"""Work for later: jobs in PostgreSQL, done by a worker process (`flux_project.work`).

Invariant: a job exists exactly if the transaction that deferred it commits. It may run
more than once, so what it calls is true however often it was called.
"""

from django.db import transaction
from procrastinate.contrib.django import app
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.jobs import JobDeferrer
from procrastinate.types import JSONValue

from flux_project.database import DatabaseUnavailable

Given = dict[str, JSONValue]


# What somebody waits for goes before what is looked at now and then.
LOOK, SWEEP = -1, -2


def defer(
    task: str,
    *,
    once: str = "",
    in_seconds: int = 0,
    priority: int = 0,
    **given: JSONValue,
) -> None:
    """Asks for a task, by its name, in the caller's transaction on Django's connection.

    once: while a job of this name waits, another is not needed. given: what the task is
    called with; it is stored in plain, so nothing secret. Raises DatabaseUnavailable.
    """
    try:
        configured = app.configure_task(
            task,
            queueing_lock=f"{task} {once}" if once else None,
            schedule_in={"seconds": in_seconds} if in_seconds else None,
            priority=priority,
            allow_unknown=True,  # who only asks need not have the task's module
        )
        _defer(configured, given, is_once=bool(once))
    except ConnectorException as error:
        raise DatabaseUnavailable from error


def _defer(configured: JobDeferrer, given: Given, *, is_once: bool) -> None:
    if not is_once:
        configured.defer(**given)
        return
    try:
        # A savepoint: the one that waits already is told by a failing statement.
        with transaction.atomic():
            configured.defer(**given)
    except AlreadyEnqueued:
        pass
