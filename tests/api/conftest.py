"""Fixtures of the API's tests: a client of each server, in a namespace of its own; in
auth mode, namespaces that are registered.
"""

from collections.abc import Iterator

import pytest

from tests.support.client import Api
from tests.support.servers import Server
from tests.support.tenants import Operator, Tenant


@pytest.fixture
def api(server: Server) -> Iterator[Api]:
    """The API through the lane, and without it."""
    client = Api(server.port)
    yield client
    client.close()


@pytest.fixture
def tenant(operator: Operator) -> Tenant:
    return operator.register()


@pytest.fixture
def foreign(operator: Operator) -> Tenant:
    return operator.register()
