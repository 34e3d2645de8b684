"""A job worker with tasks that no product has: `python -m tests.support.odd_jobs`.

With the argument `ticking` it also has one that is due every second.

Each shows what becomes of jobs that behave in its way.
"""

import os
import sys
import time

import django
from django.db import transaction
from procrastinate.contrib.django import app

from flux_project import job_worker, jobs

ADDRESS = "somebody@example.org"
SECRET = "what nobody may read"


@app.task(name="endless")
def endless() -> None:
    time.sleep(120)


@app.task(name="failing")
def failing(address: str, words: list[str]) -> None:
    raise ValueError(f"no mail for {address} and other@example.org: {words[0]}")


@app.task(name="crowded", retry=1)
def crowded() -> None:
    """Fails when another job has taken its queueing lock meanwhile."""
    jobs.defer("nothing", once="twice", in_seconds=3_600)
    raise ValueError("the first time")


@app.task(name="deferring")
def deferring() -> None:
    """Of the two jobs it asks for, one is in a transaction that comes to nothing."""
    jobs.defer("nothing", once="kept", in_seconds=3_600)
    with transaction.atomic():
        jobs.defer("nothing", once="rolled back", in_seconds=3_600)
        transaction.set_rollback(True)


def tick(timestamp: int) -> None:
    """procrastinate notes when it deferred this last."""


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flux_project.settings")
    django.setup()
    if "ticking" in sys.argv:
        app.periodic(cron="* * * * * *")(app.task(name="tick")(tick))
    job_worker.JobWorker().run()


if __name__ == "__main__":
    main()
