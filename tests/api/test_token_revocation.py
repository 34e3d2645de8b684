"""`DELETE /api/namespaces/:name/tokens/:id` (contract §6)."""

import pytest

from tests.support.tenants import Operator, Registry, Tenant
from tests.support.token_requests import found, revoke, rotate, works


class TestRevoking:
    """`DELETE …/tokens/:id`"""

    def test_it_is_refused_at_once_and_again_changes_nothing(
        self, operator: Operator, tenant: Tenant, registry: Registry
    ) -> None:
        made = operator.make(tenant)
        assert works(tenant, made["token"])
        for _ in range(2):
            answer = revoke(tenant, tenant.header, made["id"])
            assert (answer.status, answer.body) == (204, b"")
            assert not works(tenant, made["token"])
        entries = [
            one
            for one in registry.audit(tenant.name)
            if one["action"] == "token.revoke"
        ]
        assert len(entries) == 1
        assert entries[0]["before"]["label"] == "a test's"
        assert entries[0]["after"] == {"revoked": True}

    def test_who_revokes_itself_is_out(
        self, operator: Operator, tenant: Tenant
    ) -> None:
        first = operator.first_id(tenant)
        assert revoke(tenant, tenant.header, first).status == 204
        answer = revoke(tenant, tenant.header, first)
        assert found(answer) == (401, "invalid_token")

    def test_all_its_secrets_end(self, operator: Operator, tenant: Tenant) -> None:
        old = operator.make(tenant)
        new = operator.rotate(tenant, old["id"], overlap_seconds=600)
        operator.revoke(tenant, old["id"])
        assert not works(tenant, old["token"])
        assert not works(tenant, new)

    def test_one_bounded_by_a_prefix_revokes_within_it(
        self, operator: Operator, tenant: Tenant
    ) -> None:
        prefix = tenant.id("kitchen/")
        maker = operator.header(tenant, scopes=["tokens"], prefix=prefix)
        inside = operator.make(tenant, prefix=tenant.id("kitchen/oven/"))
        for beyond in (None, tenant.id("kitchen"), tenant.id("garden/")):
            other = operator.make(tenant, prefix=beyond)
            answer = revoke(tenant, maker, other["id"])
            assert found(answer) == (403, "outside_prefix")
        assert revoke(tenant, maker, inside["id"]).status == 204

    @pytest.mark.parametrize(
        "token_id", ["nobody", "x" * 10, "%00", "a%00b", "%7F", "%C3%A9", "' OR 1=1 --"]
    )
    def test_an_unknown_id_is_not_found(
        self, operator: Operator, tenant: Tenant, token_id: str
    ) -> None:
        path = f"{tenant.path}/tokens/{token_id.replace(' ', '%20')}".encode()
        for header in (tenant.header, "Bearer the admin token of the tests"):
            for method, where in (("DELETE", path), ("POST", path + b"/rotate")):
                answer = operator.api.ask(method, where, authorization=header)
                assert found(answer) == (404, "token_not_found")

    def test_another_namespaces_id_is_as_unknown_as_any(
        self, operator: Operator, tenant: Tenant, registry: Registry
    ) -> None:
        theirs = operator.make(operator.register())["id"]
        before = registry.fingerprint()
        for header in (tenant.header, "Bearer the admin token of the tests"):
            for ask in (revoke, rotate):
                answer = ask(tenant, header, theirs)
                unknown = ask(tenant, header, "nobody")
                assert found(answer) == (404, "token_not_found")
                assert answer.body == unknown.body
        assert registry.fingerprint() == before
