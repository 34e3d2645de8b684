"""While the database is away nobody is let in on a guess, and nobody is turned away."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice

import pytest

from flux_project.embedded import EmbeddedPostgres
from namespaces import tokens
from tests.support import session
from tests.support.client import ADMIN_HEADER, Answer, Api, event
from tests.support.servers import Server, make_database, wait_for
from tests.support.tenants import Operator, Registry, Speaker, Tenant, bearer

StartServer = Callable[..., Server]
DATABASE = "flux_away"
DOUBTS = {"database_unavailable", "outcome_unknown", "registry_unconfirmed"}


@contextmanager
def away(postgres: EmbeddedPostgres) -> Iterator[None]:
    """Nobody gets a connection to it, and those that are there are ended."""
    postgres.ensure_database(session.DATABASE)
    other = Registry(session.DATABASE)
    try:
        other.do(f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS false")
        other.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            DATABASE,
        )
        yield
    finally:
        other.do(f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS true")
        other.close()


def writes(tenant: Tenant, header: str) -> Iterator[Answer]:
    """How each is answered to who has this header."""
    api, body = tenant.api, event(tenant.id("a"), {"x": 1})
    asked: list[tuple[str, str, object]] = [
        ("GET", f"{tenant.path}/tokens", None),
        ("POST", "/api/events", body),
        ("POST", "/api/events/batch", [body]),
        ("DELETE", f"/api/state/entities/{tenant.id('a')}", None),
        ("POST", "/api/state/entities/delete", {"namespace": tenant.name}),
        ("POST", f"{tenant.path}/tokens", {"label": "x"}),
        ("POST", f"{tenant.path}/tokens/x/rotate", {}),
        ("DELETE", f"{tenant.path}/tokens/x", None),
    ]
    for method, path, given in asked:
        yield api.ask(method, path, given, authorization=header)


def codes(speaker: Speaker, tenant: Tenant, text: str) -> set[object]:
    message = {"type": "publish", "token": text, "event": event(tenant.id("a"))}
    answer = speaker.ask(message)
    return {one.get("code") for one in answer.get("results", [answer])}


@pytest.fixture
def server(postgres: EmbeddedPostgres, start_auth: StartServer) -> Server:
    return start_auth(database=make_database(postgres, DATABASE))


@pytest.fixture
def ways(server: Server) -> Iterator[tuple[Operator, Speaker]]:
    """To speak to it: over HTTP and on a socket."""
    operator, speaker = Operator(Api(server.port)), Speaker(server.port)
    yield operator, speaker
    speaker.close()
    operator.api.close()


def test_an_unknown_token_is_neither_good_nor_bad_then(
    postgres: EmbeddedPostgres, ways: tuple[Operator, Speaker]
) -> None:
    operator, speaker = ways
    tenant = operator.register()
    tenant.seq_of("a")
    unknown = tokens.issue(tokens.new_id()).text
    revoked = operator.make(tenant)
    operator.revoke(tenant, revoked["id"])
    with away(postgres):
        for text in (unknown, revoked["token"], tenant.token):
            # Waiting for Django's connections takes seconds: one of those will do.
            most = 5 if text == tenant.token else 8
            for answer in islice(writes(tenant, bearer(text)), most):
                assert answer.status == 503, answer
                assert "retry-after" in answer.headers
            assert codes(speaker, tenant, text) <= DOUBTS
        for answer in writes(tenant, bearer("flux_nothing")):
            assert (answer.status, answer.code) == (401, "invalid_token")
        assert tenant.api.get(tenant.path).status == 503
        path = f"{tenant.path}/tokens"
        assert tenant.api.get(path, authorization=ADMIN_HEADER).status == 503
    wait_for(lambda: tenant.publish("a").status == 200, what="its return", seconds=30)
    for text in (unknown, revoked["token"]):
        for answer in writes(tenant, bearer(text)):
            assert (answer.status, answer.code) == (401, "invalid_token")
        assert codes(speaker, tenant, text) == {"invalid_token"}
