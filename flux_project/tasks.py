"""What the job worker does for itself.

Invariant: a task is a plain function wherever it changes what is ours: one that is
asynchronous is broken off when its worker ends, and is not done again.
"""

from django.contrib.sessions.backends.db import SessionStore
from procrastinate import App, JobContext
from procrastinate.contrib.django import app

# Long enough to be looked at; their arguments may have addresses of e-mail.
ENDED_KEPT_HOURS = 72


@app.periodic(cron="17 * * * *")
@app.task(name="flux.forget_jobs", pass_context=True)
async def forget_jobs(context: JobContext, timestamp: int) -> None:
    await forget_ended(context.app)


async def forget_ended(worker_app: App) -> None:
    """Those that failed or were given up; what succeeded is gone at once."""
    await worker_app.job_manager.delete_old_jobs(
        nb_hours=ENDED_KEPT_HOURS,
        include_failed=True,
        include_cancelled=True,
        include_aborted=True,
    )


@app.periodic(cron="41 3 * * *")
@app.task(name="flux.forget_sessions")
def forget_sessions(timestamp: int) -> None:
    """Those that are over, of the admin and of accounts: Django leaves them lying."""
    SessionStore.clear_expired()
