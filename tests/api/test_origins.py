"""Which pages may use the server, and by which names it is reached (contract §0)."""

from collections.abc import Iterator

import pytest

from tests.support import servers
from tests.support.client import Answer, Api, event

PATH = "/api/state/entities"
EXPOSED = "link, etag, retry-after, ratelimit, ratelimit-policy"

LOOPBACK = [
    "http://localhost",
    "http://localhost:5173",
    "https://localhost:8443",
    "http://127.0.0.1:3000",
    "http://127.8.9.1",
    "http://[::1]:3000",
    "http://app.localhost:3000",
]
FOREIGN = [
    "https://evil.example",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "http://notlocalhost",
    "http://192.168.1.5",
    "http://0.0.0.0:3000",
    "http://user@evil.example",
    "http://localhost@evil.example",
    "file://localhost",
    "chrome-extension://localhost",
    "null",
    "nonsense",
    "http://[::1",
    "",
]


@pytest.fixture(scope="module")
def for_all(api_database: str) -> Iterator[Api]:
    yield from _serving(api_database, FLUX_ALLOWED_ORIGINS="*")


@pytest.fixture(scope="module")
def for_some(api_database: str) -> Iterator[Api]:
    yield from _serving(
        api_database,
        FLUX_ALLOWED_ORIGINS="https://good.example, http://other.example:8080",
        FLUX_ALLOWED_HOSTS="flux.example, Other.Example",
    )


def _serving(database: str, **env: str) -> Iterator[Api]:
    started = servers.serve(database, **env)
    client = Api(started.port)
    yield client
    client.close()
    started.stop()


def _refused(answer: Answer) -> bool:
    if answer.status == 403:
        assert answer.code == "origin_not_allowed"
        assert "FLUX_ALLOWED_ORIGINS" in answer.json["error"]
        assert "access-control-allow-origin" not in answer.headers
        return True
    return False


@pytest.mark.parametrize("origin", LOOPBACK)
def test_pages_from_loopback_hosts_may_use_it(api: Api, origin: str) -> None:
    api.publish("a")
    for path in (f"{PATH}/{api.id('a')}", "/api/health", "/api/nothing"):
        answer = api.ask("GET", path, origin=origin)
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["access-control-expose-headers"] == EXPOSED
        assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("origin", FOREIGN)
def test_other_pages_neither_read_nor_write(api: Api, origin: str) -> None:
    before = api.head()
    for method, path in (
        ("GET", PATH),
        ("GET", f"{PATH}/{api.id('a')}"),
        ("GET", "/api/nothing"),
        ("DELETE", "/api/events"),
        ("OPTIONS", "/api/events"),
    ):
        assert _refused(api.ask(method, path, origin=origin))
    assert _refused(api.post("/api/events", event(api.id("a")), origin=origin))
    assert _refused(api.post("/api/events", b" " * (2 << 20), origin=origin))
    assert api.head() == before


def test_a_client_without_an_origin_is_never_affected(api: Api) -> None:
    answer = api.get("/api/health")
    assert answer.status == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_page_of_the_server_itself_may_use_it(api: Api) -> None:
    host = "192.168.7.7:3000"
    for scheme in ("http", "https"):
        answer = api.ask("GET", PATH, host=host, origin=f"{scheme}://{host}")
        assert answer.status == 200
    other_port = api.ask("GET", PATH, host=host, origin="http://192.168.7.7:4000")
    assert _refused(other_port)


def test_a_preflight_is_answered_before_anything_is_done(api: Api) -> None:
    answer = api.ask(
        "OPTIONS",
        "/api/events",
        origin="http://localhost:5173",
        access_control_request_method="POST",
        access_control_request_headers="content-type",
    )
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
    methods = answer.headers["access-control-allow-methods"].split(", ")
    assert set(methods) == {"GET", "POST", "PUT", "DELETE", "OPTIONS"}
    headers = answer.headers["access-control-allow-headers"].split(", ")
    assert set(headers) == {
        "authorization",
        "content-type",
        "if-none-match",
        "last-event-id",
    }


def test_options_without_a_preflight_names_the_methods(api: Api) -> None:
    answer = api.ask("OPTIONS", "/api/events")
    assert answer.status == 204
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))


@pytest.mark.parametrize("origin", ["https://any.example", "null"])
def test_a_star_lets_every_page_in(for_all: Api, origin: str) -> None:
    answer = for_all.ask("GET", PATH, origin=origin)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "*"


def test_a_list_lets_in_what_it_names_and_nothing_else(for_some: Api) -> None:
    for origin in ("https://good.example", "http://other.example:8080"):
        answer = for_some.ask("GET", PATH, origin=origin)
        assert answer.headers["access-control-allow-origin"] == origin
    for origin in (
        "http://good.example",
        "https://good.example:8443",
        "https://sub.good.example",
        "http://other.example",
        "http://localhost:3000",
        "null",
    ):
        assert _refused(for_some.ask("GET", PATH, origin=origin))


HOSTS = [
    "localhost",
    "LOCALHOST:3000",
    "localhost.",
    "app.localhost:1",
    "127.0.0.1",
    "127.0.0.1:65535",
    "10.1.2.3:3000",
    "[::1]",
    "[::1]:3000",
    "[2001:db8::7]:3000",
    "[::ffff:10.1.2.3]",
]
NO_HOSTS = [
    "evil.example",
    "evil.example:3000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "notlocalhost",
    "127.1",
    "2130706433",
    "0x7f000001",
    "::1",
    "[::1",
    "[::1]evil",
    "[evil.example]",
    "localhost:evil",
    "localhost:1:2",
    "localhost/evil",
    "localhost evil.example",
    "user@localhost",
    "localhost,evil.example",
    "flux.example",
    "\xe9",
]


@pytest.mark.parametrize("host", HOSTS)
def test_it_answers_to_loopback_names_and_addresses(api: Api, host: str) -> None:
    api.publish("a")
    for path in (f"{PATH}/{api.id('a')}", f"{PATH}?limit=1", "/api/health", "/"):
        assert api.ask("GET", path, host=host).status == 200


@pytest.mark.parametrize("host", NO_HOSTS)
def test_it_answers_to_no_other_name(api: Api, host: str) -> None:
    """A page whose name was pointed at a loopback address sends no foreign Origin."""
    before = api.head()
    for path in (f"{PATH}/{api.id('a')}", f"{PATH}?limit=1", "/api/health", "/"):
        answer = api.ask("GET", path, host=host)
        assert (answer.status, answer.code) == (400, "host_not_allowed")
    answer = api.post("/api/events", event(api.id("a")), host=host)
    assert (answer.status, answer.code) == (400, "host_not_allowed")
    assert api.head() == before


def test_a_refused_name_is_told_which_setting_allows_it(api: Api) -> None:
    answer = api.ask("GET", "/api/health", host="evil.example")
    assert "FLUX_ALLOWED_HOSTS" in answer.json["error"]
    assert "evil.example" in answer.json["error"]


def test_allowed_names_are_answered_beside_addresses(for_some: Api) -> None:
    for host in ("flux.example", "Flux.Example:8443", "other.example.", "127.0.0.1"):
        assert for_some.ask("GET", "/api/health", host=host).status == 200
    for host in ("sub.flux.example", "example"):
        assert for_some.ask("GET", "/api/health", host=host).status == 400


def test_the_address_of_a_next_page_names_the_host_that_was_asked(api: Api) -> None:
    api.publish("a")
    api.publish("b")
    path = f"{PATH}?namespace={api.space}&limit=1"
    link = api.ask("GET", path, host="[::1]:3000").headers["link"]
    assert link.startswith("<http://[::1]:3000/api/state/entities?")
