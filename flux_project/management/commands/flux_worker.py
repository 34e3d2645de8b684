"""`manage.py flux_worker`: the jobs alone, where another server serves the web."""

from django.core.management.base import BaseCommand, CommandError

from flux_project import database, job_worker, workers


class Command(BaseCommand):
    help = (
        "Do the jobs until Ctrl-C or SIGTERM: for those who serve the web otherwise"
        " than by manage.py flux, which does them itself."
    )
    requires_system_checks = ()

    def handle(self, *args: object, **options: object) -> None:
        if not workers.has_jobs():
            raise CommandError("Open mode has no jobs; FLUX_AUTH_ENABLED=true has.")
        database.bound_django()
        job_worker.JobWorker().run()
