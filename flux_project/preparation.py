"""What a database needs before Flux can serve.

Invariant: each step may run twice, and in two processes at once, to the same end.
"""

import time
from collections.abc import Callable

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.migrations.executor import MigrationExecutor

ADMIN_NAME = "admin"
# Any number will do that no other program of this database uses for its locks.
MIGRATION_LOCK = 7_104_905_177


def migrate(*, sleep: Callable[[float], None] = time.sleep) -> int:
    """Apply what is missing, one process at a time; the number of steps applied.

    The lock is asked for, not waited for, so that a start can be interrupted.
    """
    with connection.cursor() as cursor:
        while not _ask(cursor, "SELECT pg_try_advisory_lock(%s)"):
            sleep(0.2)
        try:
            executor = MigrationExecutor(connection)
            steps = executor.migration_plan(executor.loader.graph.leaf_nodes())
            if steps:
                call_command("migrate", verbosity=0, interactive=False)
            return len(steps)
        finally:
            _ask(cursor, "SELECT pg_advisory_unlock(%s)")


def _ask(cursor: CursorWrapper, query: str) -> bool:
    cursor.execute(query, [MIGRATION_LOCK])
    row = cursor.fetchone()
    return bool(row and row[0])


def ensure_admin(password: str) -> bool:
    """Make the administrator when there is none; whether it was made just now."""
    users = get_user_model()._default_manager
    with transaction.atomic():
        if users.filter(is_superuser=True).exists():
            return False
        users.create_superuser(ADMIN_NAME, password=password)
    return True


def close_connections() -> None:
    """The pool's threads too: nothing of this process stays connected."""
    connection.close()
    wrapper = connections[connection.alias]
    if isinstance(wrapper, DatabaseWrapper):
        wrapper.close_pool()
