"""Where several errors apply, which one is answered (contract §0): the first of 401,
413, 400, 403, 429, and before them a forbidden origin, an unknown route, a wrong
method. And a 401 is answered before a body is read.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.client import ADMIN_HEADER, Answer, Api, Line, event, request
from tests.support.servers import Server
from tests.support.tenants import NAMESPACES, Operator, Registry, Tenant, bearer

LARGE = b" " * (1 << 20) + b"x"
LARGE_BATCH = b" " * (10 << 20) + b"x"
STRANGERS = {
    "nobody": None,
    "malformed": "Bearer flux_nothing",
    "unknown": "Bearer flux_k3v9x2m4q1_" + "0" * 49,
    "the admin's": ADMIN_HEADER,
}
_NO_EVENT = {"stream": "Not A Stream", "source": "x", "payload": {}}


@pytest.fixture
def tenant(operator: Operator) -> Tenant:
    return operator.register()


@pytest.fixture
def foreign(operator: Operator) -> Tenant:
    return operator.register()


def spend_all(registry: Registry, tenant: Tenant) -> None:
    """The namespace has written all it may for an hour."""
    registry.do(
        "INSERT INTO namespaces_bucket (namespace, spent, at)"
        " VALUES (%s, 600000 * 1000000::bigint, now())",
        tenant.name,
    )


def ask(tenant: Tenant, path: str, body: object, header: str | None = None) -> Answer:
    header = tenant.header if header is None else header
    return tenant.api.post(path, body, authorization=header)


def found(answer: Answer) -> tuple[int, object]:
    return answer.status, answer.code


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
            "UPDATE namespaces_bucket SET spent = 600000 * 1000000::bigint, at = now()"
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


class TestDeletes:
    """`DELETE /api/state/entities/:id` and `POST /api/state/entities/delete`"""

    @pytest.mark.parametrize("name", STRANGERS)
    @pytest.mark.parametrize(
        "path", ["x", "flux-core/directory", "delete", "a%00b", ".", "%2Fx", "x" * 513]
    )
    def test_401_goes_before_all(
        self, operator: Operator, name: str, path: str
    ) -> None:
        header = STRANGERS[name]
        headers = {} if header is None else {"authorization": header}
        address = f"/api/state/entities/{path}"
        assert operator.api.ask("DELETE", address, **headers).status == 401
        for body in (b"", b"{", LARGE_BATCH, {"prefix": "x"}, {"prefix": ""}):
            answer = operator.api.post("/api/state/entities/delete", body, **headers)
            assert answer.status == 401

    @pytest.mark.parametrize("entity_id", ["x", "delete", "x/", "a%00b/c", "%2Fx"])
    def test_400_goes_before_403(
        self, tenant: Tenant, registry: Registry, entity_id: str
    ) -> None:
        registry.suspend(tenant.name)
        address = f"/api/state/entities/{entity_id}"
        answer = tenant.api.ask("DELETE", address, authorization=tenant.header)
        assert answer.status == 400

    def test_403_goes_before_404_and_says_nothing_of_it(
        self, tenant: Tenant, foreign: Tenant
    ) -> None:
        foreign.seq_of("there")
        answers = []
        for rest in ("there", "nowhere"):
            address = f"/api/state/entities/{foreign.id(rest)}"
            answer = tenant.api.ask("DELETE", address, authorization=tenant.header)
            assert found(answer) == (403, "foreign_namespace")
            answers.append(answer.body)
        assert answers[0] == answers[1]
        address = f"/api/state/entities/{tenant.id('nowhere')}"
        answer = tenant.api.ask("DELETE", address, authorization=tenant.header)
        assert found(answer) == (404, "entity_not_found")

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (LARGE_BATCH, (413, "payload_too_large")),
            ({"prefix": "", "namespace": "x"}, (400, "invalid_filter")),
            ({"prefix": ""}, (400, "invalid_filter")),
            ({"entity_ids": ["flux-core/x", "x"]}, (400, "invalid_entity_id")),
            ({"entity_ids": ["foreign/x", "x/"]}, (400, "invalid_entity_id")),
            ({"entity_ids": ["flux-core/x"]}, (403, "reserved_namespace")),
            ({"prefix": "flux-core/"}, (403, "reserved_namespace")),
            ({"namespace": "flux-core"}, (403, "reserved_namespace")),
            ({"namespace": "foreign"}, (403, "foreign_namespace")),
            ({"prefix": "f"}, (403, "foreign_namespace")),
            ({"entity_ids": ["foreign/x"]}, (403, "foreign_namespace")),
        ],
    )
    def test_many_are_deleted_by_who_may_delete_all_of_them(
        self,
        tenant: Tenant,
        registry: Registry,
        body: object,
        expected: tuple[int, str],
    ) -> None:
        spend_all(registry, tenant)
        before = registry.fingerprint()
        answer = ask(tenant, "/api/state/entities/delete", body)
        assert found(answer) == expected
        assert registry.fingerprint() == before

    def test_one_foreign_id_among_its_own_deletes_nothing(
        self, tenant: Tenant, foreign: Tenant
    ) -> None:
        tenant.seq_of("a")
        foreign.seq_of("a")
        body = {"entity_ids": [tenant.id("a"), foreign.id("a")]}
        answer = ask(tenant, "/api/state/entities/delete", body)
        assert found(answer) == (403, "foreign_namespace")
        for one in (tenant, foreign):
            address = f"/api/state/entities/{one.id('a')}"
            assert tenant.api.get(address).status == 200

    @pytest.mark.parametrize("cut", ["", "/"])
    def test_the_name_of_its_namespace_is_no_prefix_of_it(
        self, tenant: Tenant, cut: str
    ) -> None:
        tenant.seq_of("a")
        body = {"prefix": f"{tenant.name}{cut}"}
        answer = ask(tenant, "/api/state/entities/delete", body)
        assert answer.status == (200 if cut else 403)

    def test_what_exceeds_the_limit_is_not_deleted_in_part(
        self, tenant: Tenant, registry: Registry
    ) -> None:
        for rest in ("a", "b", "c"):
            tenant.seq_of(rest)
        registry.do(
            "UPDATE namespaces_bucket SET spent = 9998 * 1000000::bigint, at = now()"
            " + interval '1 hour' WHERE namespace = %s",
            tenant.name,
        )
        before = registry.fingerprint()[0]
        answer = ask(tenant, "/api/state/entities/delete", {"namespace": tenant.name})
        assert found(answer) == (429, "rate_limited")
        assert registry.fingerprint()[0] == before


class TestTokens:
    """`POST /api/namespaces/:name/tokens` and `…/rotate`"""

    BODIES: tuple[Any, ...] = (b"{", b"[]", {"label": ""})

    @pytest.mark.parametrize("body", BODIES)
    def test_401_goes_before_400(
        self, operator: Operator, tenant: Tenant, body: object
    ) -> None:
        for path in (f"{tenant.path}/tokens", f"{tenant.path}/tokens/x/rotate"):
            answer = operator.api.post(path, body, authorization="Bearer x")
            assert found(answer) == (401, "invalid_token")

    @pytest.mark.parametrize("who", ["foreign", "weak"])
    @pytest.mark.parametrize(
        ("body", "status"), [(b"{", 400), (b"[]", 400), (LARGE_BATCH, 413)]
    )
    def test_413_and_400_go_before_403(
        self,
        operator: Operator,
        tenant: Tenant,
        who: str,
        body: object,
        status: int,
    ) -> None:
        header = {
            "foreign": operator.register().header,
            "weak": operator.header(tenant, scopes=["publish"]),
        }[who]
        token_id = operator.first_id(tenant)
        for path in (
            f"{tenant.path}/tokens",
            f"{tenant.path}/tokens/{token_id}/rotate",
        ):
            answer = operator.api.post(path, body, authorization=header)
            assert answer.status == status, path

    def test_a_prefix_outside_goes_before_403(
        self, operator: Operator, tenant: Tenant
    ) -> None:
        weak = operator.header(tenant, scopes=["publish"])
        body = {"label": "x", "prefix": "elsewhere/"}
        answer = ask(tenant, f"{tenant.path}/tokens", body, weak)
        assert answer.status == 400

    @pytest.mark.parametrize("body", [b"{", LARGE_BATCH, {"name": "x"}])
    def test_registering_needs_the_admin_token_first(
        self, operator: Operator, body: object
    ) -> None:
        answer = operator.api.post(NAMESPACES, body)
        assert found(answer) == (401, "admin_token_required")


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


PATHS = ("/api/events", "/api/events/batch", "/api/state/entities/delete")


class TestUnreadBodies:
    """A stranger's body is not waited for."""

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("name", STRANGERS)
    @pytest.mark.parametrize(
        "announced",
        [
            {"content_length": "900000"},
            {"content_length": str(10 << 30)},
            {"transfer_encoding": "chunked"},
            {"content_length": "900000", "expect": "100-continue"},
        ],
    )
    def test_a_401_is_answered_though_not_a_byte_of_it_has_come(
        self, auth_server: Server, path: str, name: str, announced: dict[str, str]
    ) -> None:
        header = STRANGERS[name]
        headers = {} if header is None else {"authorization": header}
        line = Line(auth_server.port)
        line.send(request("POST", path, None, **headers, **announced))
        answer = line.answer(to="POST")
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        line.close()

    @pytest.mark.parametrize("path", PATHS)
    def test_a_413_is_answered_to_who_announces_too_much(
        self, auth_server: Server, tenant: Tenant, path: str
    ) -> None:
        line = Line(auth_server.port)
        length = str((10 << 20) + 1)
        header = {"authorization": tenant.header, "content_length": length}
        line.send(request("POST", path, None, **header))
        answer = line.answer(to="POST")
        assert (answer.status, answer.code) == (413, "payload_too_large")
        line.close()

    def test_who_is_known_is_asked_to_go_on(
        self, auth_server: Server, tenant: Tenant
    ) -> None:
        body = json.dumps(event(tenant.id("a"))).encode()
        for header, is_known in ((tenant.header, True), ("Bearer x", False)):
            line = Line(auth_server.port)
            raw = request(
                "POST",
                "/api/events",
                body,
                authorization=header,
                expect="100-continue",
            )
            line.send(raw[: -len(body)])
            first = line.answer(to="POST")
            assert first.status == (100 if is_known else 401)
            if is_known:
                line.send(body)
                assert line.answer(to="POST").status == 200
            line.close()

    def test_after_a_401_the_connection_is_of_use_or_over(
        self, auth_server: Server, tenant: Tenant
    ) -> None:
        """What is left of a stranger's body is never taken for a request."""
        inner = request(
            "POST",
            "/api/events",
            json.dumps(event(tenant.id("smuggled"))).encode(),
            authorization=tenant.header,
        )
        line = Line(auth_server.port)
        line.send(request("POST", "/api/events", inner, authorization=bearer("x")))
        assert line.answer(to="POST").status == 401
        line.send(request("GET", f"/api/state/entities/{tenant.id('smuggled')}"))
        assert line.answer().status == 404
        line.close()
