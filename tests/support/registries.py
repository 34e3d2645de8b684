"""Registries as the processes of tests hold them, and a namespace to know of.

Invariant: each is the test's own, so the one of this process learns nothing here.
"""

from psycopg import Connection
from psycopg.rows import TupleRow

from namespaces import audit, tenancy
from namespaces.registry import Registry
from namespaces.tenancy import Registered
from tests.support.tenants import fresh_name

ACTOR = audit.Actor("a test", "command")


def register() -> Registered:
    return tenancy.register(fresh_name(), ACTOR)


def anew(line: Connection[TupleRow]) -> Registry:
    made = Registry()
    made.refresh(line)
    return made
