"""An empty Flux for the next test, without Django's flush (which is slow, and knows
nothing of the rows that a migration puts in)."""

import uuid

from django.db import connection

from events.models import Log
from flux_project import roles
from namespaces.models import RuntimeConfig, UsageCursor

KEPT = {"django_migrations", "django_content_type", "auth_permission"}


def allow_truncate() -> None:
    """The logs refuse TRUNCATE too; the tests lift that, by name, and nothing else."""
    with connection.cursor() as cursor:
        for table in ("events_event", "namespaces_auditentry"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_no_truncate")


def empty() -> None:
    """Afterwards: another, empty log; no entities; the default runtime config.

    A test that left a transaction open makes this fail after five seconds, by name.
    """
    tables = list(connection.introspection.table_names())
    names = ", ".join(f'"{name}"' for name in tables if name not in KEPT)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '5s'")
        cursor.execute(f"TRUNCATE {names} RESTART IDENTITY")
        cursor.execute("RESET lock_timeout")
    Log.objects.create(log_id=uuid.uuid4())
    RuntimeConfig.objects.create()
    UsageCursor.objects.create()
    roles.make_groups()
