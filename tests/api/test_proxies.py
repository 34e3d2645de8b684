"""Whose word is taken for where a request comes from: the audit log is the witness."""

import itertools
from collections.abc import Callable, Iterator

import psycopg
import pytest

from flux_project import proxies
from namespaces.models import RuntimeConfig
from tests.support import servers, session
from tests.support.client import ADMIN_HEADER, Api, event
from tests.support.live import handshake
from tests.support.servers import PLAIN, Server

PEER = "127.0.0.1"
_numbers = itertools.count(1)

BELIEVED = [
    ("203.0.113.7", "203.0.113.7"),
    ("203.0.113.7:4711", "203.0.113.7"),
    ("2001:db8::7", "2001:db8::7"),
    ("[2001:db8::7]", "2001:db8::7"),
    ("[2001:db8::7]:4711", "2001:db8::7"),
    # What a client wrote itself stands before what the proxies have added.
    ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
    ("198.51.100.1, 203.0.113.7, 10.1.2.3", "203.0.113.7"),
    ("nonsense, 203.0.113.7", "203.0.113.7"),
    # A proxy's own programs are the clients.
    ("10.1.2.3", "10.1.2.3"),
]
NO_ADDRESS = [
    "",
    " ",
    ",",
    "unknown",
    "203.0.113.7, ",
    "203.0.113.7, nonsense",
    "203.0.113.7.8",
    "[2001:db8::7",
    "203.0.113.7:port",
    "_hidden",
    "<script>",
    "ä" * 300,
    "1" * 2_000,
    "%00",
]


class Registering:
    """Registers namespaces, and says from where that was."""

    def __init__(self, server: Server, database: str) -> None:
        self.port = server.port
        self._api = Api(server.port)
        url = session.database_url(database)
        self._connection = psycopg.connect(url, autocommit=True)

    def __call__(self, **headers: str) -> str:
        name = f"from-{self.port}-{next(_numbers)}"
        given = {"authorization": ADMIN_HEADER, **headers}
        answer = self._api.post("/api/namespaces", {"name": name}, **given)
        assert answer.status == 200, answer
        row = self._connection.execute(
            "SELECT address FROM namespaces_auditentry WHERE target = %s", (name,)
        ).fetchone()
        assert row is not None
        return str(row[0])

    def scheme(self, **headers: str) -> str:
        """By which the server means to be reached: that of a link it makes."""
        name = f"links-{self.port}-{next(_numbers)}"
        given = {"authorization": ADMIN_HEADER}
        made = self._api.post("/api/namespaces", {"name": name}, **given)
        given = {"authorization": f"Bearer {made.json['token']}"}
        for _ in range(2):
            assert self._api.post("/api/events", event(f"{name}/x"), **given)
        answer = self._api.get(f"/api/events?entity={name}/x&limit=1", **headers)
        return answer.headers["link"].partition("://")[0].removeprefix("<")

    def close(self) -> None:
        self._api.close()
        self._connection.close()


def registering(server: Server, database: str) -> Iterator[Registering]:
    client = Registering(server, database)
    yield client
    client.close()
    server.stop()


@pytest.fixture(scope="module", params=["lane", "plain", "daphne"])
def trusting(
    request: pytest.FixtureRequest, api_database: str
) -> Iterator[Registering]:
    """Whose peer, this machine, is one of two trusted proxies."""
    env = {"FLUX_AUTH_ENABLED": "true", "FLUX_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8"}
    if request.param in PLAIN:
        token = ADMIN_HEADER.removeprefix("Bearer ")
        env["FLUX_ADMIN_TOKEN"] = token
        started = servers.serve_plain(request.param, api_database, **env)
    else:
        lane = "true" if request.param == "lane" else "false"
        started = servers.serve(api_database, FLUX_LANE=lane, **env)
    yield from registering(started, api_database)


@pytest.fixture(scope="module", params=["", "10.0.0.0/8, 127.0.0.2"])
def doubting(
    request: pytest.FixtureRequest, api_database: str
) -> Iterator[Registering]:
    """Whose peer is no proxy that it trusts."""
    env = {"FLUX_AUTH_ENABLED": "true", "FLUX_TRUSTED_PROXIES": request.param}
    yield from registering(servers.serve(api_database, **env), api_database)


@pytest.mark.parametrize(("said", "address"), BELIEVED)
def test_a_trusted_proxy_says_where_a_request_comes_from(
    trusting: Registering, said: str, address: str
) -> None:
    assert trusting(x_forwarded_for=said) == address


def test_several_headers_are_one_list(trusting: Registering) -> None:
    """In the order in which they stand: the last was added by the last proxy."""
    one = trusting(x_forwarded_for="198.51.100.1\r\nX-Forwarded-For: 203.0.113.9")
    assert one == "203.0.113.9"


@pytest.mark.parametrize("said", NO_ADDRESS)
def test_what_is_no_address_is_passed_over_for_the_peers_own(
    trusting: Registering, said: str
) -> None:
    assert trusting(x_forwarded_for=said) == PEER


def test_without_the_header_it_is_the_peer(trusting: Registering) -> None:
    assert trusting() == PEER


@pytest.mark.parametrize(
    "header", ["forwarded", "x_real_ip", "x_client_ip", "x_forwarded_host"]
)
def test_no_other_header_says_it(trusting: Registering, header: str) -> None:
    assert trusting(**{header: "203.0.113.7"}) == PEER


@pytest.mark.parametrize("said", [said for said, _ in BELIEVED])
def test_nobody_else_is_believed(doubting: Registering, said: str) -> None:
    assert doubting(x_forwarded_for=said, x_forwarded_proto="https") == PEER


def test_a_trusted_proxy_says_by_which_scheme(trusting: Registering) -> None:
    assert trusting.scheme(x_forwarded_proto="https") == "https"
    for other in ("http", "gopher", "https, http", ""):
        assert trusting.scheme(x_forwarded_proto=other) == "http"


def test_nobody_else_says_by_which_scheme(doubting: Registering) -> None:
    assert doubting.scheme(x_forwarded_proto="https") == "http"


@pytest.mark.parametrize("said", ["203.0.113.7", "nonsense", ""])
def test_sockets_are_served_whatever_a_proxy_says(
    trusting: Registering, said: str
) -> None:
    given = {"x_forwarded_for": said, "x_forwarded_proto": "https"}
    assert handshake(trusting.port, **given).status == 101


def test_failed_tokens_are_counted_by_the_address_that_a_proxy_says(
    start_server: Callable[..., Server],
) -> None:
    server = start_server(FLUX_AUTH_ENABLED="true", FLUX_TRUSTED_PROXIES="127.0.0.1")
    api = Api(server.port)
    bad = {"authorization": "Bearer none", "x_forwarded_for": "203.0.113.50"}
    most = RuntimeConfig().failed_tokens_per_address_per_minute
    codes = [api.post("/api/events", {}, **bad).code for _ in range(most + 1)]
    assert codes[0] == "invalid_token"
    assert codes[-1] == "too_many_failed_tokens"
    other = bad | {"x_forwarded_for": "203.0.113.51"}
    assert api.post("/api/events", {}, **other).code == "invalid_token"
    api.close()


def test_an_address_of_ipv4_is_trusted_in_its_form_of_ipv6_too() -> None:
    """By which a socket shows it that listens for both."""
    assert list(proxies._forms("10.0.0.0/8")) == ["10.0.0.0/8", "::ffff:10.0.0.0/104"]
    assert list(proxies._forms("10.0.0.7")) == ["10.0.0.7", "::ffff:10.0.0.7/128"]
    assert list(proxies._forms("fd00::/8")) == ["fd00::/8"]
