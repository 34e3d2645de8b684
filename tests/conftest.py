"""The fixtures every test may use; `tests/support` holds what they are made of.

- `database`: real commits on the test database, emptied afterwards.
- `server`: a real web worker over HTTP; the test runs with the lane and without it.
- `auth_server`: the same in auth mode; `operator` has its admin token, `registry` looks
  at its database.
- `start_server`: the same with other settings, for one test.
- `start_flux`: a whole `manage.py flux`, PostgreSQL included, for crash tests.
- `stripe_fake`: a fake of Stripe's API with a checkout page and signed webhooks.
- `demo_shop`: a server that sells with the demo checkout, and its jobs; what it mails
  comes to `shop_post`.
"""

import itertools
from collections.abc import Callable, Iterator

import pytest
from django.core.management import call_command
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from flux_project.embedded import EmbeddedPostgres
from tests.support import post, reset, servers, session, shop
from tests.support.client import Api
from tests.support.post import Post
from tests.support.servers import Flux, Server
from tests.support.shop import Shop
from tests.support.stripe_fake import StripeFake
from tests.support.stripe_fake import running as running_stripe
from tests.support.tenants import AUTH_DATABASE, Operator, Registry, registry_of

_numbers = itertools.count()


def pytest_unconfigure() -> None:
    session.remove_everything()


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """The session's PostgreSQL, started by the first test that needs it."""
    with session.running() as running:
        yield running


@pytest.fixture(scope="session")
def django_db_setup(
    postgres: EmbeddedPostgres,
    django_test_environment: None,
    django_db_blocker: DjangoDbBlocker,
) -> None:
    """In place of pytest-django's: the cluster is ours, so no other name is needed."""
    postgres.ensure_database(session.DATABASE)
    with django_db_blocker.unblock():
        call_command("migrate", verbosity=0)
        reset.allow_truncate()
        connections.close_all()


@pytest.fixture
def database(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """Real transactions, as in production; afterwards everything is empty again."""
    with django_db_blocker.unblock():
        yield
        reset.empty()
        connections.close_all()


@pytest.fixture(scope="session")
def api_database(postgres: EmbeddedPostgres) -> str:
    """A database of its own for server processes: nothing ever empties it."""
    return servers.make_database(postgres, session.API_DATABASE)


@pytest.fixture(scope="session", params=["lane", "plain"])
def server(request: pytest.FixtureRequest, api_database: str) -> Iterator[Server]:
    lane = "true" if request.param == "lane" else "false"
    started = servers.serve(api_database, FLUX_LANE=lane)
    yield started
    started.stop()


@pytest.fixture(scope="session")
def auth_database(postgres: EmbeddedPostgres) -> str:
    """One for servers in auth mode, which throttle nobody: tests fail often."""
    name = servers.make_database(postgres, AUTH_DATABASE)
    with registry_of(name) as opened:
        opened.do(
            "UPDATE namespaces_runtimeconfig SET"
            " registrations_per_address_per_hour = 1000000,"
            " failed_tokens_per_address_per_minute = 1000000"
        )
    return name


@pytest.fixture(scope="session", params=["lane", "plain"])
def auth_server(request: pytest.FixtureRequest, auth_database: str) -> Iterator[Server]:
    lane = "true" if request.param == "lane" else "false"
    # debug: what is never to be logged is not logged then either.
    settings = {"FLUX_AUTH_ENABLED": "true", "FLUX_LOG_LEVEL": "debug"}
    started = servers.serve(auth_database, FLUX_LANE=lane, **settings)
    yield started
    started.stop()


@pytest.fixture
def start_auth(auth_database: str) -> Iterator[Callable[..., Server]]:
    """`start_auth(database=…, FLUX_LANE="false")` → a server in auth mode, until the
    test ends; by default on the database of `auth_server`."""
    started: list[Server] = []

    def start(*, database: str = auth_database, **env: str) -> Server:
        settings = {"FLUX_AUTH_ENABLED": "true", "FLUX_LOG_LEVEL": "debug", **env}
        started.append(servers.serve(database, **settings))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def operator(auth_server: Server) -> Iterator[Operator]:
    client = Api(auth_server.port)
    yield Operator(client)
    client.close()


@pytest.fixture
def registry(auth_database: str) -> Iterator[Registry]:
    with registry_of(auth_database) as opened:
        yield opened


@pytest.fixture
def start_server(api_database: str) -> Iterator[Callable[..., Server]]:
    """`start_server(FLUX_ALLOWED_HOSTS="example.org")` → a server, until the test ends.

    All of them share one database with `server`.
    """
    started: list[Server] = []

    def start(**env: str) -> Server:
        started.append(servers.serve(api_database, **env))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def start_flux() -> Iterator[Callable[..., Flux]]:
    """`start_flux(FLUX_WORKERS="2")` → a whole Flux that serves, on its own data.

    `wait=False` answers at once, for starts that are meant to fail; `like=other` starts
    another one on the data directory and port of `other`.
    """
    made: list[Flux] = []

    def start(*, wait: bool = True, like: Flux | None = None, **env: str) -> Flux:
        data_dir = session.DIRECTORY / f"flux-{next(_numbers)}"
        if like is not None:
            data_dir, env = like.data_dir, {"PORT": str(like.port), **env}
        flux = Flux(data_dir, **env)
        made.append(flux)
        flux.start()
        if wait:
            flux.wait_until_serving()
        return flux

    yield start
    for flux in made:
        flux.remove()


@pytest.fixture
def stripe_fake() -> Iterator[StripeFake]:
    with running_stripe() as fake:
        yield fake


@pytest.fixture(scope="session")
def shop_database(postgres: EmbeddedPostgres) -> str:
    """That of `demo_shop`."""
    return shop.make_database(postgres, shop.DATABASE)


@pytest.fixture(scope="session")
def shop_post() -> Iterator[Post]:
    with post.office() as opened:
        yield opened


@pytest.fixture(scope="session")
def demo_shop(shop_database: str, shop_post: Post) -> Iterator[Shop]:
    with shop.open_shop(shop_database, "demo", EMAIL_URL=shop_post.url) as opened:
        yield opened
