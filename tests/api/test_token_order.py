"""Where several errors apply, which one is answered (contract §0): the first of 401,
413, 400, 403, 429, and before them a forbidden origin, an unknown route, a wrong
method. Told here of events; of deletes and of tokens in files of their own.
"""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.support.client import Api, event
from tests.support.servers import Server
from tests.support.tenants import NAMESPACES, Operator, Registry, Tenant
from tests.support.token_requests import LARGE_BATCH, STRANGERS, ask, found, spend_all

LARGE = b" " * (1 << 20) + b"x"
_NO_EVENT = {"stream": "Not A Stream", "source": "x", "payload": {}}


class TestSingle:
    """`POST /api/events`"""

    @pytest.mark.parametrize("name", STRANGERS)
    @pytest.mark.parametrize("body", [b"", b"{", LARGE, _NO_EVENT, event("x")])
    def test_401_goes_before_all(
        self, operator: Operator, name: str, body: object
    ) -> None:
        header = STRANGERS[name]
        headers = {} if header is None else {"authorization": header}
        answer = operator.api.post("/api/events", body, **headers)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "ratelimit" not in answer.headers

    def test_413_goes_before_400_and_403_and_429(
        self, tenant: Tenant, foreign: Tenant, registry: Registry
    ) -> None:
        spend_all(registry, tenant)
        registry.suspend(tenant.name)
        text = json.dumps(event(foreign.id("x"))).encode()
        assert found(ask(tenant, "/api/events", LARGE)) == (413, "payload_too_large")
        large = text.ljust((1 << 20) + 1)
        assert found(ask(tenant, "/api/events", large)) == (413, "payload_too_large")
        fits = text.ljust(1 << 20)
        assert found(ask(tenant, "/api/events", fits)) == (403, "foreign_namespace")
        many = event(foreign.id("x"), {f"p{number}": 1 for number in range(5_001)})
        assert found(ask(tenant, "/api/events", many)) == (413, "event_too_large")

    @pytest.mark.parametrize(
        "body",
        [
            b"{",
            b"[]",
            _NO_EVENT,
            event("no-namespace"),
            event("no-namespace/"),
            event("/x"),
            event(""),
            event(5),
            event("flux-core/x") | {"timestamp": "now"},
        ],
    )
    def test_400_goes_before_403_and_429(
        self, tenant: Tenant, registry: Registry, body: object
    ) -> None:
        spend_all(registry, tenant)
        registry.suspend(tenant.name)
        assert ask(tenant, "/api/events", body).status == 400

    def test_an_id_without_namespace_is_malformed(self, tenant: Tenant) -> None:
        for entity_id in ("x", "x/", tenant.name, tenant.id("")):
            answer = ask(tenant, "/api/events", event(entity_id))
            assert found(answer) == (400, "invalid_entity_id")
            assert answer.json["field"] == "payload.entity_id"

    def test_403_goes_before_429(
        self, tenant: Tenant, foreign: Tenant, registry: Registry, operator: Operator
    ) -> None:
        spend_all(registry, tenant)
        narrow = operator.header(tenant, scopes=["delete"], prefix=tenant.id("a/"))
        for header, id_, code in (
            (None, foreign.id("x"), "foreign_namespace"),
            (None, "default/x", "foreign_namespace"),
            (None, "flux-core/x", "reserved_namespace"),
            (narrow, tenant.id("b"), "outside_prefix"),
            (narrow, tenant.id("a/x"), "missing_scope"),
        ):
            assert found(ask(tenant, "/api/events", event(id_), header)) == (403, code)
        last = ask(tenant, "/api/events", event(tenant.id("x")))
        assert found(last) == (429, "rate_limited")
        assert int(last.headers["retry-after"]) > 0

    def test_what_is_said_again_costs_nothing_and_is_refused_to_who_may_not(
        self, tenant: Tenant, registry: Registry, operator: Operator
    ) -> None:
        body = event(tenant.id("x"), {"x": 1}, eventId="once")
        first = ask(tenant, "/api/events", body)
        registry.do(
            "UPDATE namespaces_bucket SET spent = 10000 * 1000000::bigint,"
            " at = now() + interval '1 hour'"
            " WHERE namespace = %s",
            tenant.name,
        )
        again = ask(tenant, "/api/events", body)
        assert (again.status, again.json["duplicate"]) == (200, True)
        assert again.json["seq"] == first.json["seq"]
        weak = operator.header(tenant, scopes=["delete"])
        assert found(ask(tenant, "/api/events", body, weak)) == (403, "missing_scope")


class TestBatch:
    """`POST /api/events/batch`"""

    @pytest.mark.parametrize("name", STRANGERS)
    @pytest.mark.parametrize("body", [b"", b"{", LARGE_BATCH, [], [_NO_EVENT]])
    def test_401_goes_before_all(
        self, operator: Operator, name: str, body: object
    ) -> None:
        header = STRANGERS[name]
        headers = {} if header is None else {"authorization": header}
        answer = operator.api.post("/api/events/batch", body, **headers)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"

    def test_413_goes_before_400(self, tenant: Tenant) -> None:
        answer = ask(tenant, "/api/events/batch", LARGE_BATCH)
        assert found(answer) == (413, "payload_too_large")

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"events":[]}', b"{}"])
    def test_400_goes_before_403_and_429(
        self, tenant: Tenant, registry: Registry, body: bytes
    ) -> None:
        spend_all(registry, tenant)
        registry.suspend(tenant.name)
        assert ask(tenant, "/api/events/batch", body).status == 400

    def test_each_item_has_its_own_first_error(
        self, tenant: Tenant, foreign: Tenant, registry: Registry
    ) -> None:
        spend_all(registry, tenant)
        many = {f"p{number}": 1 for number in range(5_001)}
        body = [
            event(tenant.id("x")),
            event(foreign.id("x")),
            event("flux-core/x"),
            event("x"),
            event(foreign.id("x"), many),
            _NO_EVENT,
            event(foreign.id("x")) | {"timestamp": "now"},
        ]
        answer = ask(tenant, "/api/events/batch", body)
        assert (answer.status, answer.json["successful"]) == (200, 0)
        assert [result["code"] for result in answer.json["results"]] == [
            "rate_limited",
            "foreign_namespace",
            "reserved_namespace",
            "invalid_entity_id",
            "event_too_large",
            "invalid_event",
            "invalid_event",
        ]

    def test_a_foreign_event_fails_alone(self, tenant: Tenant, foreign: Tenant) -> None:
        body = [event(tenant.id("a")), event(foreign.id("a")), event(tenant.id("b"))]
        answer = ask(tenant, "/api/events/batch", body).json
        assert (answer["successful"], answer["failed"]) == (2, 1)
        seqs = [result["seq"] for result in answer["results"]]
        assert seqs[1] is None
        assert seqs[2] == seqs[0] + 1
        assert foreign.api.get(f"/api/state/entities/{foreign.id('a')}").status == 404


class TestOrigins:
    """A forbidden origin, an unknown route, a wrong method: before all of these."""

    @pytest.fixture
    def api(self, start_auth: Callable[..., Server]) -> Iterator[Api]:
        server = start_auth(FLUX_ALLOWED_ORIGINS="https://a.example")
        client = Api(server.port)
        yield client
        client.close()

    def test_the_origin_goes_first(self, api: Api) -> None:
        for method, path in (
            ("POST", "/api/events"),
            ("PUT", "/api/events"),
            ("GET", "/api/nowhere"),
            ("GET", f"{NAMESPACES}/x/tokens"),
            ("DELETE", "/api/state/entities/x"),
        ):
            answer = api.ask(method, path, b"{", origin="https://b.example")
            assert found(answer) == (403, "origin_not_allowed")
            with_token = api.ask(
                method, path, b"{", origin="https://b.example", authorization="Bearer x"
            )
            assert found(with_token) == (403, "origin_not_allowed")

    def test_an_allowed_one_changes_nothing(self, api: Api) -> None:
        answer = api.post("/api/events", b"{", origin="https://a.example")
        assert found(answer) == (401, "token_required")
        assert answer.headers["access-control-allow-origin"] == "https://a.example"

    def test_a_preflight_needs_no_token(self, api: Api) -> None:
        answer = api.ask(
            "OPTIONS",
            "/api/events",
            origin="https://a.example",
            access_control_request_method="POST",
        )
        assert answer.status == 204
        allowed = answer.headers["access-control-allow-headers"]
        assert "authorization" in allowed
