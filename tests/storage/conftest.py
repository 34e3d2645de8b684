"""Fixtures of the storage tests, beside those of all tests."""

from collections.abc import Iterator

import pytest

from events import ingest
from tests.support.said import World


@pytest.fixture
def world(database: None) -> Iterator[World]:
    """An empty Flux, and how to look at it."""
    looking = World()
    yield looking
    looking.close()
    ingest._threads.session.drop()
