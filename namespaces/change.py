"""Transactions that change who may write, or how much.

Invariant: a change of what the registry holds takes a version first, and tells all
processes when it commits; nobody waits for it for long.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import InterfaceError, OperationalError, connection
from django.db import transaction as django_transaction

from flux_project.database import LOG_LOCK_KEY, DatabaseUnavailable
from namespaces import registry

_LIMIT_WAITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '5s'"
_TAKE_VERSION = (Path(__file__).parent / "sql" / "take_version.sql").read_text()


@contextmanager
def of_registry() -> Iterator[int]:
    """A transaction that changes what the registry holds; gives its version.

    The version's row is locked until it ends, so changes come one after the other. The
    log's lock is taken last, for the commit alone: a write that did not see the change
    is in the log before this ends, and none comes behind. (Writers lock no row that is
    locked here, and a rebuild takes the two in the same order: nobody waits in a
    circle.)
    """
    with transaction():
        with connection.cursor() as cursor:
            cursor.execute(_TAKE_VERSION)
            row = cursor.fetchone()
        yield row[0]
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOG_LOCK_KEY,))
        tell_all()


@contextmanager
def transaction() -> Iterator[None]:
    """One that waits for nobody for long, and is over when its function returns.

    Raises DatabaseUnavailable.
    """
    with available(), django_transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute(_LIMIT_WAITS)
        yield


@contextmanager
def available() -> Iterator[None]:
    """Raises DatabaseUnavailable for what Django says when it cannot ask."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise DatabaseUnavailable from error


def release() -> None:
    """Gives this thread's connection back, for who now waits for somebody else."""
    connection.close()


def tell_all() -> None:
    """Wakes all processes when the transaction commits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", (registry.CHANNEL,))
