"""Where several errors of a delete apply, which one is answered (contract §0)."""

import pytest

from tests.support.tenants import Operator, Registry, Tenant
from tests.support.token_requests import LARGE_BATCH, STRANGERS, ask, found, spend_all


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
