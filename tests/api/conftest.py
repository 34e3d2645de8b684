"""Fixtures of the API's tests: a client of each server, in a namespace of its own; in
auth mode, namespaces that are registered; our Stripe provider, at a fake Stripe.
"""

from collections.abc import Iterator

import pytest

from namespaces.billing.stripe import Stripe
from tests.support import stripe_client
from tests.support.client import Api
from tests.support.servers import Server
from tests.support.stripe_fake import StripeFake
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


@pytest.fixture
def provider(stripe_fake: StripeFake) -> Stripe:
    return stripe_client.client(stripe_fake)
