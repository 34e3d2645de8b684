"""Which hosts and origins may speak to a server (contract §0)."""

import pytest

from flux_project.origins import HostNotAllowed, OriginNotAllowed, Policy

OPEN = Policy(is_open_mode=True)
AUTH = Policy(is_open_mode=False)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "localhost",
        "LOCALHOST:3000",
        "sub.localhost:1",
        "localhost.",
        "127.0.0.1:3000",
        "127.9.9.9",
        "192.168.1.7:3000",
        "[::1]:3000",
        "[2001:db8::1]",
    ],
)
def test_open_mode_answers_to_loopback_names_and_addresses(host: str | None) -> None:
    OPEN.check_host(host)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:3000", "localhost.evil.example", "notlocalhost"],
)
def test_open_mode_refuses_other_names(host: str) -> None:
    with pytest.raises(HostNotAllowed, match="FLUX_ALLOWED_HOSTS"):
        OPEN.check_host(host)


def test_the_setting_allows_further_hosts() -> None:
    policy = Policy(is_open_mode=True, hosts=["flux.example"])
    policy.check_host("Flux.Example:3000")
    policy.check_host("localhost")
    with pytest.raises(HostNotAllowed):
        policy.check_host("sub.flux.example")
    Policy(is_open_mode=True, hosts=["*"]).check_host("any.example")


def test_auth_mode_takes_any_host_unless_told() -> None:
    AUTH.check_host("any.example")
    with pytest.raises(HostNotAllowed):
        Policy(is_open_mode=False, hosts=["flux.example"]).check_host("any.example")


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost",
        "https://localhost:8443",
        "http://127.0.0.1:5173",
        "http://[::1]:80",
        "http://app.localhost:1",
    ],
)
def test_open_mode_serves_pages_of_this_machine(origin: str) -> None:
    assert OPEN.check_origin(origin, "localhost:3000") == origin


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://evil.example",
        "http://localhost.evil.example",
        "http://192.168.1.7",
        "file://localhost",
        "http://[::1",
        "http://evil.example#localhost",
        "http://localhost@evil.example",
    ],
)
def test_open_mode_refuses_other_pages(origin: str) -> None:
    with pytest.raises(OriginNotAllowed, match="FLUX_ALLOWED_ORIGINS"):
        OPEN.check_origin(origin, "localhost:3000")


def test_pages_of_the_server_itself_are_served() -> None:
    origin = "http://192.168.1.7:3000"
    assert OPEN.check_origin(origin, "192.168.1.7:3000") == origin


def test_auth_mode_serves_every_page() -> None:
    assert AUTH.check_origin("null", "flux.example") == "*"
    assert AUTH.check_origin("http://any.example", "flux.example") == "*"


@pytest.mark.parametrize("is_open_mode", [True, False])
def test_listed_origins_are_exact(is_open_mode: bool) -> None:  # noqa: FBT001
    policy = Policy(is_open_mode=is_open_mode, origins=["https://app.example"])
    assert policy.check_origin("https://app.example", "h") == "https://app.example"
    for other in ("http://app.example", "https://app.example:444", "http://localhost"):
        with pytest.raises(OriginNotAllowed):
            policy.check_origin(other, "h")


def test_a_star_serves_every_page() -> None:
    policy = Policy(is_open_mode=True, origins=["*"])
    assert policy.check_origin("null", "localhost") == "*"
