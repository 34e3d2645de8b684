"""`POST /api/namespaces/:name/tokens/:id/rotate` (contract §6)."""

import time

import pytest

from tests.support.tenants import Operator, Registry, Tenant, bearer
from tests.support.token_requests import KEYS, found, make, rotate, works


class TestRotating:
    """`POST …/tokens/:id/rotate`"""

    def test_without_an_overlap_the_old_secret_ends_at_once(
        self, operator: Operator, tenant: Tenant
    ) -> None:
        made = operator.make(tenant, label="mine", scopes=["publish", "delete"])
        for body in (b"", b"  ", b"{}", b'{"overlap_seconds":null}'):
            path = f"{tenant.path}/tokens/{made['id']}/rotate"
            answer = tenant.api.ask("POST", path, body, authorization=tenant.header)
            assert answer.status == 200
            assert answer.json.keys() == KEYS | {"token"}
            assert not works(tenant, made["token"])
            assert works(tenant, answer.json["token"])
            for name in ("id", "label", "scopes", "createdAt"):
                assert answer.json[name] == made[name]
            made = answer.json

    def test_with_one_both_work_until_it_ends(
        self, operator: Operator, tenant: Tenant
    ) -> None:
        old = operator.make(tenant)
        new = rotate(tenant, tenant.header, old["id"], overlap_seconds=1).json
        assert works(tenant, new["token"])
        until = time.monotonic() + 10
        while works(tenant, old["token"]):
            assert time.monotonic() < until, "it works for ever"
            time.sleep(0.05)
        assert works(tenant, new["token"])

    def test_rotated_again_within_it_three_work_and_end_as_was_said_last(
        self, operator: Operator, tenant: Tenant, registry: Registry
    ) -> None:
        first = operator.make(tenant)
        texts = [first["token"]]
        for _ in range(2):
            texts.append(operator.rotate(tenant, first["id"], overlap_seconds=600))
        assert all(works(tenant, text) for text in texts)
        query = (
            "SELECT count(*), count(valid_until) FROM namespaces_secret"
            " WHERE token_id = %s"
        )
        assert registry.rows(query, first["id"]) == [(3, 2)]
        last = operator.rotate(tenant, first["id"])
        assert [works(tenant, text) for text in texts] == [False] * 3
        assert works(tenant, last)
        operator.rotate(tenant, first["id"])
        ((secrets, _),) = registry.rows(query, first["id"])
        assert secrets <= 2, "those that have ended are forgotten"

    def test_a_shorter_overlap_shortens_the_one_before_and_a_longer_does_not_lengthen(
        self, operator: Operator, tenant: Tenant, registry: Registry
    ) -> None:
        made = operator.make(tenant)
        query = (
            "SELECT count(*) FROM namespaces_secret WHERE token_id = %s"
            " AND valid_until < now() + interval '100 seconds'"
        )
        operator.rotate(tenant, made["id"], overlap_seconds=50)
        operator.rotate(tenant, made["id"], overlap_seconds=600)
        assert registry.rows(query, made["id"]) == [(1,)]
        operator.rotate(tenant, made["id"], overlap_seconds=60)
        assert registry.rows(query, made["id"]) == [(3,)]

    @pytest.mark.parametrize("bad", [-1, 2_592_001, 1.5, "60", True, [], 10**30])
    def test_an_overlap_has_bounds(
        self, operator: Operator, tenant: Tenant, bad: object
    ) -> None:
        made = operator.make(tenant)
        answer = rotate(tenant, tenant.header, made["id"], overlap_seconds=bad)
        assert found(answer) == (400, "invalid_token_request")
        assert answer.json["field"] == "overlap_seconds"
        assert works(tenant, made["token"])
        edge = rotate(tenant, tenant.header, made["id"], overlap_seconds=2_592_000)
        assert edge.status == 200

    def test_what_has_ended_is_not_revived(
        self, operator: Operator, tenant: Tenant, registry: Registry
    ) -> None:
        revoked, expired = operator.make(tenant), operator.make(tenant)
        operator.revoke(tenant, revoked["id"])
        registry.do(
            "UPDATE namespaces_token SET expires_at = now() WHERE id = %s",
            expired["id"],
        )
        for token in (revoked, expired):
            for header in (tenant.header, "Bearer the admin token of the tests"):
                answer = rotate(tenant, header, token["id"])
                assert found(answer)[0] in {403, 409}
            assert found(answer) == (409, "token_ended")

    def test_who_rotates_itself_goes_on_with_the_new_secret(
        self, operator: Operator, tenant: Tenant
    ) -> None:
        answer = rotate(tenant, tenant.header, operator.first_id(tenant))
        assert answer.status == 200
        assert found(make(tenant, tenant.header)) == (401, "invalid_token")
        assert make(tenant, bearer(answer.json["token"])).status == 201

    def test_its_entry_in_the_audit_log_has_no_secret(
        self, operator: Operator, tenant: Tenant, registry: Registry
    ) -> None:
        made = operator.make(tenant)
        new = operator.rotate(tenant, made["id"], overlap_seconds=5)
        entry = registry.audit(tenant.name)[-1]
        assert entry["action"] == "token.rotate"
        assert entry["target"] == f"{tenant.name}/{made['id']}"
        assert entry["after"] == {"overlap_seconds": 5}
        assert new[16:] not in repr(entry)
