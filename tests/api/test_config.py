"""`GET` and `PUT /api/admin/config` (contract §7)."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.client import ADMIN_HEADER, Answer, Api, event
from tests.support.servers import Server, wait_for

PATH = "/api/admin/config"
DEFAULTS = {
    "rate_limit_enabled": True,
    "rate_limit_per_namespace_per_minute": 10_000,
    "body_size_limit_single_bytes": 1_048_576,
    "body_size_limit_batch_bytes": 10_485_760,
}


def _put(api: Api, body: object, **headers: str) -> Answer:
    return api.ask("PUT", PATH, body, **{"authorization": ADMIN_HEADER, **headers})


@pytest.fixture(autouse=True)
def _as_before(api: Api) -> Iterator[None]:
    yield
    assert _put(api, DEFAULTS).json == DEFAULTS


def test_it_has_its_defaults_and_is_open_to_everyone(api: Api) -> None:
    answer = api.get(PATH)
    assert (answer.status, answer.json) == (200, DEFAULTS)


def test_a_change_of_a_part_answers_the_whole(api: Api) -> None:
    answer = _put(api, {"rate_limit_enabled": False, "unknown": 1})
    assert answer.status == 200
    assert answer.json == {**DEFAULTS, "rate_limit_enabled": False}
    assert api.get(PATH).json == answer.json


def test_an_empty_change_changes_nothing(api: Api) -> None:
    assert _put(api, {}).json == DEFAULTS


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_read_in_any_case(api: Api, scheme: str) -> None:
    header = ADMIN_HEADER.replace("Bearer", scheme)
    assert _put(api, {}, authorization=header).status == 200


@pytest.mark.parametrize(
    "change",
    [
        {"rate_limit_per_namespace_per_minute": 1},
        {"rate_limit_per_namespace_per_minute": 10_000_000},
        {"body_size_limit_single_bytes": 1 << 10},
        {"body_size_limit_single_bytes": 64 << 20},
        {"body_size_limit_batch_bytes": 1 << 10},
        {"body_size_limit_batch_bytes": 256 << 20},
    ],
)
def test_the_bounds_themselves_are_allowed(api: Api, change: dict[str, int]) -> None:
    assert _put(api, change).json == {**DEFAULTS, **change}


def test_nothing_of_a_refused_change_is_kept(api: Api) -> None:
    change = {"rate_limit_enabled": False, "body_size_limit_batch_bytes": 1}
    answer = _put(api, change)
    assert (answer.status, answer.json["field"]) == (400, "body_size_limit_batch_bytes")
    assert api.get(PATH).json == DEFAULTS


def test_a_401_says_what_is_needed_and_comes_before_what_is_wrong_with_the_body(
    api: Api,
) -> None:
    for body in (b"", b"{", b" " * (11 << 20), {"rate_limit_enabled": 1}):
        answer = api.ask("PUT", PATH, body)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"


def test_with_the_token_a_body_may_be_too_large(api: Api) -> None:
    answer = _put(api, b" " * (11 << 20))
    assert (answer.status, answer.code) == (413, "payload_too_large")


def _sized(api: Api, size: int) -> bytes:
    body = b'{"stream":"s","source":"s","payload":{"entity_id":"%b","properties":{}}}'
    return (body % api.id("a").encode()).ljust(size)


def test_new_limits_hold_at_once_and_in_every_other_process_soon(
    api: Api, start_server: Callable[..., Server]
) -> None:
    other = Api(start_server().port)
    assert other.get("/api/health").status == 200
    _put(
        api, {"body_size_limit_single_bytes": 2048, "body_size_limit_batch_bytes": 1024}
    )
    assert api.post("/api/events", _sized(api, 2048)).status == 200
    assert api.post("/api/events", _sized(api, 2049)).status == 413
    large = b"[%b]" % _sized(api, 1023)
    assert api.post("/api/events/batch", large).status == 413
    wait_for(
        lambda: other.post("/api/events", _sized(api, 2049)).status == 413,
        what="the new limit in the other process",
        seconds=10,
    )
    assert other.post("/api/events/batch", large).status == 413
    _put(api, {"body_size_limit_single_bytes": 2 << 20})
    wait_for(
        lambda: other.post("/api/events", _sized(api, 2 << 20)).status == 200,
        what="a larger limit in the other process",
        seconds=10,
    )
    other.close()


def test_without_an_admin_token_nobody_changes_anything(
    api: Api, start_server: Callable[..., Server]
) -> None:
    other = Api(start_server(FLUX_ADMIN_TOKEN="").port)
    for header in ("Bearer ", ADMIN_HEADER, "Bearer x"):
        answer = other.ask("PUT", PATH, {}, authorization=header)
        assert (answer.status, answer.code) == (403, "admin_disabled")
        assert "FLUX_ADMIN_TOKEN" in answer.json["error"]
    assert other.get(PATH).json == DEFAULTS
    other.close()


def test_the_admin_token_is_no_matter_to_publishing(api: Api) -> None:
    body = event(api.id("a"))
    assert api.post("/api/events", body, authorization=ADMIN_HEADER).status == 200
