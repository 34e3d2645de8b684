"""Settings from the environment: typed, and refused by name."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from flux_project import env

NAME = "FLUX_TEST_VALUE"
EXAMPLE = Path(settings.BASE_DIR) / ".env.example"

NO_SITES = [
    "flux.example.org",
    "//flux.example.org",
    "https:flux.example.org",
    "https://",
    "ftp://flux.example.org",
    "https://flux.example.org/",
    "https://flux.example.org/flux",
    "https://flux.example.org?a=b",
    "https://flux.example.org#a",
    "https://me@flux.example.org",
    "https://flux.example.org:",
    "https://flux.example.org:0",
    "https://flux.example.org:65536",
    "https://flux.example.org:https",
    "https://flux example.org",
    "https://flux.example.org, https://other.example.org",
    "https://[::1",
    "https://[1.2.3.4]",
    "https://::1",
    "https://*",
]
NO_NETWORKS = [
    "*",
    "proxy.example.org",
    "10.0.0.0/33",
    "10.0.0.7/8",  # an address and a network at once: which was meant?
    "10.0.0",
    "10.0.0.1-10.0.0.9",
    "10.0.0.1:80",
    "[::1]",
    "10.0.0.1, nonsense",
    "10.0.0.1 10.0.0.2",
]


@pytest.fixture(autouse=True)
def _forget_the_test_name() -> None:
    env.known.discard(NAME)


@pytest.mark.parametrize("raw", ["true", "TRUE", " 1 ", "yes", "Yes"])
def test_true_in_any_spelling(monkeypatch: pytest.MonkeyPatch, raw: str) -> None:
    monkeypatch.setenv(NAME, raw)
    assert env.boolean(NAME, default=False) is True


@pytest.mark.parametrize("raw", ["false", "FALSE", "0", "no"])
def test_false_in_any_spelling(monkeypatch: pytest.MonkeyPatch, raw: str) -> None:
    monkeypatch.setenv(NAME, raw)
    assert env.boolean(NAME, default=True) is False


@pytest.mark.parametrize("raw", ["", "  "])
def test_blank_means_the_default(monkeypatch: pytest.MonkeyPatch, raw: str) -> None:
    monkeypatch.setenv(NAME, raw)
    assert env.boolean(NAME, default=True) is True
    assert env.integer(NAME, default=7, low=1, high=9) == 7
    assert env.choice(NAME, default="a", options=("a", "b")) == "a"
    assert env.names(NAME) == []


@pytest.mark.parametrize(
    ("reader", "raw"),
    [
        (lambda: env.boolean(NAME, default=True), "maybe"),
        (lambda: env.boolean(NAME, default=True), "on"),
        (lambda: env.integer(NAME, default=1, low=1, high=9), "0"),
        (lambda: env.integer(NAME, default=1, low=1, high=9), "10"),
        (lambda: env.integer(NAME, default=1, low=1, high=9), "1.0"),
        (lambda: env.choice(NAME, default="a", options=("a", "b")), "c"),
        (lambda: env.origins(NAME), "example.org"),
        (lambda: env.origins(NAME), "https://example.org/"),
        (lambda: env.origins(NAME), "https://example.org,*"),
        (lambda: env.origins(NAME), "null"),
        (lambda: env.hosts(NAME), "https://example.org"),
        (lambda: env.hosts(NAME), "example.org:80"),
        (lambda: env.hosts(NAME), "*"),
        *((lambda: env.site(NAME), raw) for raw in NO_SITES),
        *((lambda: env.networks(NAME), raw) for raw in NO_NETWORKS),
        (lambda: env.secret(NAME, least=4), "abc"),
        (lambda: env.secret(NAME, least=4), "  abc  "),
        (lambda: env.secret(NAME, least=1), "   "),
    ],
)
def test_a_bad_value_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, reader: Callable[[], object], raw: str
) -> None:
    monkeypatch.setenv(NAME, raw)
    with pytest.raises(ImproperlyConfigured, match=NAME):
        reader()


def test_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, " https://A.example:8443 ,,http://localhost:5173")
    assert env.origins(NAME) == ["https://a.example:8443", "http://localhost:5173"]
    monkeypatch.setenv(NAME, "*")
    assert env.origins(NAME) == ["*"]
    monkeypatch.setenv(NAME, "Flux.example.org, other")
    assert env.hosts(NAME) == ["flux.example.org", "other"]


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("", ""),
        ("  ", ""),
        ("https://flux.example.org", "https://flux.example.org"),
        (" HTTPS://Flux.Example.ORG ", "https://flux.example.org"),
        ("https://flux.example.org:8443", "https://flux.example.org:8443"),
        ("https://flux.example.org:443", "https://flux.example.org"),
        ("http://flux.example.org:80", "http://flux.example.org"),
        ("http://flux.example.org:443", "http://flux.example.org:443"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://192.168.1.5:8080", "http://192.168.1.5:8080"),
        ("http://[2001:db8::1]:3000", "http://[2001:db8::1]:3000"),
        ("http://[::1]", "http://[::1]"),
    ],
)
def test_the_address_of_a_site(
    monkeypatch: pytest.MonkeyPatch, raw: str, found: str
) -> None:
    monkeypatch.setenv(NAME, raw)
    assert env.site(NAME) == found


def test_addresses_and_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "10.0.0.7, 192.168.0.0/16,::1, fd00::/8,")
    assert env.networks(NAME) == ["10.0.0.7", "192.168.0.0/16", "::1", "fd00::/8"]


def test_a_secret_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "abcd")
    assert env.secret(NAME, least=4) == "abcd"
    monkeypatch.setenv(NAME, "")
    assert env.secret(NAME, least=4) == "", "what empty means is the setting's own"
    monkeypatch.setenv(NAME, "a")
    assert env.secret(NAME, least=0) == "a"


def test_a_secret_that_is_refused_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(NAME, "hunter2")
    with pytest.raises(ImproperlyConfigured) as refused:
        env.secret(NAME, least=16)
    assert "hunter2" not in str(refused.value)


def test_a_database_url() -> None:
    found = env.database("postgresql://me:p%40ss@db.example:5433/flux?sslmode=require")
    assert found["NAME"] == "flux"
    assert found["USER"] == "me"
    assert found["PASSWORD"] == "p@ss"
    assert found["HOST"] == "db.example"
    assert found["PORT"] == "5433"
    assert found["OPTIONS"] == {"sslmode": "require"}


def test_a_database_url_may_name_a_socket_directory() -> None:
    found = env.database("postgresql://me@/flux?host=%2Frun%2Fpostgresql&port=1")
    assert (found["HOST"], found["PORT"]) == ("/run/postgresql", "1")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://localhost/flux",
        "postgresql://localhost",
        "postgresql://localhost/",
        "postgresql://localhost:many/flux",
        "flux",
    ],
)
def test_another_database_url_is_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL"):
        env.database(url)


def test_an_env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Variables that are set already go before it."""
    file = tmp_path / ".env"
    file.write_text(
        "# a comment\n\nexport FLUX_A='one two'\nFLUX_B=\nFLUX_C=from file\n"
    )
    for name in ("FLUX_A", "FLUX_B"):
        monkeypatch.setenv(name, "to be restored")
        monkeypatch.delenv(name)
    monkeypatch.setenv("FLUX_C", "variable")
    env.load_file(file)
    assert env.text("FLUX_A") == "one two"
    assert env.text("FLUX_B", "default") == ""
    assert env.text("FLUX_C") == "variable"
    env.known.difference_update({"FLUX_A", "FLUX_B", "FLUX_C"})


def test_a_line_that_is_no_setting_is_refused(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("FLUX_A=1\nwhat is this\n")
    with pytest.raises(ImproperlyConfigured, match="line 2"):
        env.load_file(file)
    assert "FLUX_A" not in os.environ, "nothing of a refused file is kept"


def test_a_misspelt_variable_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLUX_WORKRES", "2")
    assert "FLUX_WORKRES" in env.unknown()
    assert "FLUX_WORKERS" not in env.unknown()


def test_the_example_file_lists_every_setting() -> None:
    listed = re.findall(r"^(?:#   )?([A-Z_]+)=", EXAMPLE.read_text(), re.MULTILINE)
    # In a process of its own: commands that other tests import read variables too.
    script = "from flux_project import env, settings; print(*env.known)"
    known = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(listed) == set(known)


def test_the_example_file_is_a_valid_env_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copy = tmp_path / ".env"
    copy.write_text(EXAMPLE.read_text())
    for name in env.known:
        monkeypatch.setenv(name, "set, so nothing changes")
    env.load_file(copy)
