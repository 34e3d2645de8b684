"""Fixtures of the API's tests: a client of each server, in a namespace of its own."""

from collections.abc import Iterator

import pytest

from tests.support.client import Api
from tests.support.servers import Server


@pytest.fixture
def api(server: Server) -> Iterator[Api]:
    """The API through the lane, and without it."""
    client = Api(server.port)
    yield client
    client.close()
