"""Fixtures of the storage tests, beside those of all tests: an empty Flux; a
connection, and a registry that has read the database through it.
"""

from collections.abc import Iterator

import pytest
from psycopg import Connection
from psycopg.rows import TupleRow

from events import ingest
from flux_project.database import Session
from namespaces.registry import Registry
from tests.support.registries import anew
from tests.support.said import World


@pytest.fixture
def world(database: None) -> Iterator[World]:
    """An empty Flux, and how to look at it."""
    looking = World()
    yield looking
    looking.close()
    ingest._threads.session.drop()


@pytest.fixture
def line(database: None) -> Iterator[Connection[TupleRow]]:
    session = Session(name="a test's registry")
    yield session.connection()
    session.drop()


@pytest.fixture
def known(line: Connection[TupleRow]) -> Registry:
    return anew(line)
