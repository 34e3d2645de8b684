"""`manage.py flux`: everything, in one command."""

import os
import sys

from django.conf import settings
from django.core.management.base import BaseCommand
from rich.console import Console
from rich.panel import Panel

from flux_project import addresses, credentials, places, preparation
from flux_project.supervisor import Supervisor


class Command(BaseCommand):
    help = (
        "Start Flux: PostgreSQL (unless DATABASE_URL is set), migrations, web server."
    )
    requires_system_checks = ()

    def handle(self, *args: object, **options: object) -> None:
        places.make_data_dir(settings.FLUX_DATA_DIR)
        if credentials.load(settings.FLUX_DATA_DIR) is None:
            credentials.create(settings.FLUX_DATA_DIR)
            # The settings of this process were read before its secrets existed.
            os.execv(sys.executable, sys.orig_argv)  # noqa: S606  ourselves
        Supervisor(welcome=welcome).run()


def welcome(secrets: credentials.Secrets, first: bool) -> None:  # noqa: FBT001  callback
    """The address; on the first start also, once, the names and secrets."""
    console = Console(highlight=False, soft_wrap=True)
    base = addresses.here()
    if not first:
        console.print(f"Flux serves [bold]{base}[/]  (Ctrl-C ends it)")
        return
    token = secrets.admin_token
    if token != settings.FLUX_ADMIN_TOKEN:
        token = "as FLUX_ADMIN_TOKEN says"  # noqa: S105  a sentence
    lines = [
        f"Console      [bold]{base}/[/]",
        f"Django admin [bold]{base}/admin/[/]",
        f"  name       {preparation.ADMIN_NAME}",
        f"  password   {secrets.admin_password}",
        f"Admin token  {token}",
        "",
        f"Shown this once; kept in {settings.FLUX_DATA_DIR / credentials.FILE_NAME}",
        "Ctrl-C ends everything.",
    ]
    console.print(Panel.fit("\n".join(lines), title="Flux is running", padding=(1, 2)))
