"""What a public server is told by its settings, and what Django says of them."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from django.conf import settings

from flux_project import checks, selling
from flux_project.embedded import EmbeddedPostgres
from tests.support import servers, session
from tests.support.client import ADMIN_HEADER, Api
from tests.support.servers import Server, manage

SITE = "https://flux.example.org"
PRODUCTION = {
    "FLUX_AUTH_ENABLED": "true",
    "FLUX_PUBLIC_URL": SITE,
    "FLUX_TRUSTED_PROXIES": "127.0.0.1",
    "FLUX_HOST": "0.0.0.0",  # noqa: S104  what a container has
    "FLUX_ADMIN_TOKEN": ADMIN_HEADER.removeprefix("Bearer "),
    "SECRET_KEY": "5d-Xr7Qm2vT9bK4wZ8sN1cF6hJ3gL0pY_aUeRiOtWqEzXvBn5kD8fH2jP",
}
SECURE = {"host": "flux.example.org", "x_forwarded_proto": "https"}
PLAIN = {"host": "flux.example.org", "x_forwarded_proto": "http"}


@pytest.fixture
def environment(postgres: EmbeddedPostgres, tmp_path: Path) -> Mapping[str, str]:
    """That of a public server on the tests' PostgreSQL."""
    return {
        **os.environ,
        **PRODUCTION,
        "DATABASE_URL": session.database_url(session.DATABASE),
        "FLUX_DATA_DIR": str(tmp_path),
    }


@pytest.fixture(scope="module")
def public(api_database: str) -> Iterator[Api]:
    started = servers.serve(api_database, **PRODUCTION)
    client = Api(started.port)
    yield client
    client.close()
    started.stop()


def deploy_check(environment: Mapping[str, str], **env: str) -> tuple[int, str]:
    command = ("check", "--deploy", "--fail-level", "WARNING")
    done = manage(*command, env={**environment, **env})
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


def test_the_check_of_a_deployment_is_clean(environment: Mapping[str, str]) -> None:
    status, said = deploy_check(environment)
    assert status == 0, said
    assert "no issues" in said
    assert "WARNING" not in said


@pytest.mark.parametrize(
    ("env", "number"),
    [
        ({"SECRET_KEY": "x" * 49}, "security.W009"),
        ({"DEBUG": "true"}, "security.W018"),
        ({"FLUX_PUBLIC_URL": ""}, "security.W008"),
        ({"FLUX_PUBLIC_URL": ""}, "flux.W002"),
        ({"FLUX_WORKRES": "2"}, "flux.W001"),
        ({"FLUX_TRUSTED_PROXIES": ""}, "flux.W004"),
        ({"FLUX_TRUSTED_PROXIES": "127.0.0.1, 0.0.0.0/0"}, "flux.W005"),
        ({"FLUX_AUTH_ENABLED": "", "FLUX_OPEN_REGISTRATION": "1"}, "flux.W003"),
        ({"FLUX_BILLING": "free"}, "flux.W006"),
        ({"FLUX_BILLING": "free", "FLUX_PUBLIC_URL": ""}, "flux.W007"),
    ],
)
def test_the_check_names_what_is_wrong(
    environment: Mapping[str, str], env: dict[str, str], number: str
) -> None:
    status, said = deploy_check(environment, **env)
    assert status == 1
    assert number in said


GOOD: dict[str, object] = {
    "FLUX_HOST": "0.0.0.0",  # noqa: S104  as above
    "FLUX_AUTH_ENABLED": True,
    "FLUX_OPEN_REGISTRATION": True,
    "FLUX_PUBLIC_URL": SITE,
    "FLUX_TRUSTED_PROXIES": ["10.0.0.7", "fd00::/8"],
    "FLUX_BILLING": "stripe",
    "FLUX_STRIPE_SECRET_KEY": "sk_live_1",
    "FLUX_STRIPE_API": "",
    "DEBUG": False,
    "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
}
HERE_ALONE: dict[str, object] = {"FLUX_PUBLIC_URL": "", "FLUX_BILLING": "demo"}
UNSENT: dict[str, object] = {"EMAIL_BACKEND": selling.PRINTING}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"FLUX_PUBLIC_URL": "http://flux.example.org"}, ["flux.W002"]),
        ({**HERE_ALONE, "FLUX_HOST": "::"}, ["flux.W002"]),
        ({**HERE_ALONE, "FLUX_HOST": "10.0.0.1"}, ["flux.W002"]),
        ({**HERE_ALONE, "FLUX_HOST": "127.0.0.1"}, []),
        ({**HERE_ALONE, "FLUX_HOST": "::1"}, []),
        ({**HERE_ALONE, "FLUX_HOST": "localhost"}, []),
        ({"FLUX_AUTH_ENABLED": False}, ["flux.W003"]),
        ({"FLUX_AUTH_ENABLED": False, "FLUX_OPEN_REGISTRATION": False}, []),
        ({"FLUX_TRUSTED_PROXIES": []}, ["flux.W004"]),
        ({"FLUX_TRUSTED_PROXIES": ["::/0", "10.0.0.7"]}, ["flux.W005"]),
        (UNSENT, ["flux.W006"]),
        ({**UNSENT, "FLUX_BILLING": "free"}, ["flux.W006"]),
        ({**UNSENT, "FLUX_BILLING": "demo"}, ["flux.W008"]),
        ({**UNSENT, "FLUX_BILLING": "off"}, []),
        ({"FLUX_PUBLIC_URL": "", "FLUX_HOST": "::1"}, ["flux.W007"]),
        ({"FLUX_STRIPE_SECRET_KEY": "sk_test_1"}, ["flux.W008"]),
        ({"FLUX_STRIPE_SECRET_KEY": "rk_test_1"}, ["flux.W008"]),
        ({"FLUX_BILLING": "demo"}, ["flux.W008"]),
        ({"DEBUG": True}, ["flux.W009"]),
        ({"FLUX_STRIPE_API": "https://stripe.example"}, ["flux.W010"]),
        ({"FLUX_STRIPE_API": "http://127.0.0.1:1"}, []),
    ],
)
def test_each_risk_has_its_number(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], found: list[str]
) -> None:
    for name, value in {**GOOD, **changes}.items():
        monkeypatch.setattr(settings, name, value)
    assert [risk.id for risk in checks.risks()] == found
    assert all(risk.hint for risk in checks.risks())


@pytest.mark.parametrize("path", ["/", "/live", "/admin/", "/admin/login/"])
def test_pages_are_for_tls_alone(public: Api, path: str) -> None:
    answer = public.get(path, **PLAIN)
    assert answer.status == 301
    assert answer.headers["location"] == f"{SITE}{path}"
    assert "set-cookie" not in answer.headers


def test_whatever_name_it_was_asked_by_a_page_is_at_its_public_address(
    public: Api,
) -> None:
    answer = public.get("/live?x=1", host="evil.example")
    assert answer.headers["location"] == f"{SITE}/live?x=1"


@pytest.mark.parametrize(
    "path",
    ["/api/health", "/api/state/entities", "/api/state/entities/a/b", "/metrics"],
)
def test_programs_are_not_sent_on(public: Api, path: str) -> None:
    """They would send their tokens in clear first, each time anew."""
    assert public.get(path, **PLAIN).status in {200, 404}


def test_browsers_are_told_to_use_tls_alone(public: Api) -> None:
    told = public.get("/", **SECURE).headers["strict-transport-security"]
    assert told == "max-age=31536000; includeSubDomains; preload"


def test_cookies_are_for_tls_alone(public: Api) -> None:
    answer = public.get("/admin/login/", **SECURE)
    assert answer.status == 200
    assert "; Secure" in answer.headers["set-cookie"]


def test_the_first_page_shows_the_public_address(public: Api) -> None:
    for path in ("/", "/live"):
        page = public.get(path, host="internal:3000", x_forwarded_proto="https")
        assert f"curl {SITE}/api/events".encode() in page.body
        assert b"internal" not in page.body


def test_where_names_are_listed_the_public_one_is_among_them(
    start_server: Callable[..., Server],
) -> None:
    for mode, hosts in (("true", "other.example"), ("false", "")):
        server = start_server(
            FLUX_AUTH_ENABLED=mode,
            FLUX_PUBLIC_URL="http://flux.example.org:8080",
            FLUX_ALLOWED_HOSTS=hosts,
        )
        api = Api(server.port)
        assert api.get("/api/health", host="flux.example.org:8080").status == 200
        assert api.get("/api/health", host="evil.example").code == "host_not_allowed"
        api.close()


@pytest.mark.parametrize("lane", ["true", "false"])
def test_without_an_admin_token_nobody_administrates_over_http(
    start_server: Callable[..., Server], lane: str
) -> None:
    server = start_server(FLUX_AUTH_ENABLED="true", FLUX_ADMIN_TOKEN="", FLUX_LANE=lane)
    api = Api(server.port)
    for given in ("Bearer ", "Bearer x", "Bearer", "", ADMIN_HEADER):
        header = {"authorization": given}
        registered = api.post("/api/namespaces", {"name": "no-admin"}, **header)
        assert (registered.status, registered.code) == (403, "admin_disabled")
        change = api.ask("PUT", "/api/admin/config", {}, **header)
        assert (change.status, change.code) == (403, "admin_disabled")
        deleted = api.ask("DELETE", "/api/namespaces/no-admin", **header)
        assert (deleted.status, deleted.code) == (403, "admin_disabled")
        assert api.get("/api/namespaces/no-admin/tokens", **header).status == 401
        assert api.post("/api/events", {}, **header).status == 401
    api.close()
