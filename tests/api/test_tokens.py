"""`/api/namespaces/:name/tokens`: made and listed (contract §6)."""

import time
from typing import Any

import pytest

from tests.support.servers import wait_for
from tests.support.tenants import ALL_SCOPES, Operator, Registry, Tenant
from tests.support.token_requests import (
    DAY_SECONDS,
    KEYS,
    found,
    make,
    publish,
    revoke,
    rotate,
    works,
)

BAD: dict[str, tuple[object, ...]] = {
    "label": (None, 5, "", "  ", "x" * 101, "a\nb", "a\0b", "\u2028", ["x"]),
    "scopes": ([], "publish", {}, 0, [None], ["fly"], ["Publish"], [[]]),
    "prefix": ("", "a", 5, [], "flux-core/"),
    "expires_in_seconds": (0, -1, 1.5, "60", True, 315_360_001, 10**30, []),
}
WRONG = [(field, bad) for field, values in BAD.items() for bad in values]


class TestMaking:
    """`POST …/tokens`"""

    def test_it_is_answered_once_with_its_secret(
        self, operator: Operator, tenant: Tenant
    ) -> None:
        answer = make(tenant, tenant.header, label="  kitchen sensor ")
        assert answer.status == 201
        assert answer.json.keys() == KEYS | {"token"}
        text = answer.json["token"]
        assert answer.json["label"] == "kitchen sensor"
        assert answer.json["scopes"] == ["publish"], "and nothing else"
        assert answer.json["prefix"] is answer.json["expiresAt"] is None
        assert works(tenant, text)
        listed = operator.tokens(tenant)
        assert [one["label"] for one in listed] == ["first token", "kitchen sensor"]
        assert all(one.keys() == KEYS for one in listed)
        assert text[16:] not in repr(listed)

    def test_all_that_it_may_be_good_for_is_kept(self, tenant: Tenant) -> None:
        wanted: dict[str, object] = {
            "scopes": ["delete", "publish", "delete"],
            "prefix": tenant.id("kitchen/"),
            "expires_in_seconds": DAY_SECONDS,
        }
        made = make(tenant, tenant.header, **wanted).json
        assert made["scopes"] == ["publish", "delete"]
        assert made["prefix"] == tenant.id("kitchen/")
        assert made["createdAt"] < made["expiresAt"]
        assert publish(tenant, made["token"], "kitchen/a").status == 200
        assert found(publish(tenant, made["token"], "a")) == (403, "outside_prefix")

    @pytest.mark.parametrize(("field", "bad"), WRONG, ids=repr)
    def test_what_is_wrong_is_named_by_field(
        self,
        tenant: Tenant,
        registry: Registry,
        field: str,
        bad: object,
    ) -> None:
        before = registry.fingerprint()
        answer = make(tenant, tenant.header, **{field: bad})
        assert found(answer) == (400, "invalid_token_request")
        assert answer.json["field"] == field
        assert registry.fingerprint() == before

    @pytest.mark.parametrize("rest", ["a\nb", "\0", "x" * 512])
    def test_a_prefix_is_the_beginning_of_an_id(
        self, tenant: Tenant, rest: str
    ) -> None:
        answer = make(tenant, tenant.header, prefix=tenant.id(rest))
        assert found(answer) == (400, "invalid_entity_id")
        assert answer.json["field"] == "prefix"

    @pytest.mark.parametrize("name", ["{}x/", "{}", "x{}/", "{}-/a", "/{}/"])
    def test_a_prefix_outside_of_its_namespace_is_malformed(
        self, operator: Operator, tenant: Tenant, name: str
    ) -> None:
        for header in (tenant.header, "Bearer the admin token of the tests"):
            answer = make(tenant, header, prefix=name.format(tenant.name))
            assert found(answer) == (400, "invalid_token_request")

    @pytest.mark.parametrize(
        "wanted",
        [
            {"label": "x"},
            {"label": "x" * 100},
            {"label": "ein Fühler 🌡"},
            {"scopes": None, "prefix": None, "expires_in_seconds": None},
            {"scopes": list(ALL_SCOPES)},
            {"expires_in_seconds": 1},
            {"expires_in_seconds": 315_360_000},
            {"unknown": {"a": [1]}},
        ],
    )
    def test_the_bounds_are_allowed(
        self, tenant: Tenant, wanted: dict[str, object]
    ) -> None:
        assert make(tenant, tenant.header, **wanted).status == 201

    def test_the_whole_namespace_is_no_prefix(self, tenant: Tenant) -> None:
        assert make(tenant, tenant.header, prefix=tenant.id("")).json["prefix"] is None

    def test_a_namespace_has_so_many_and_a_revoked_one_makes_room(
        self, operator: Operator, tenant: Tenant, registry: Registry
    ) -> None:
        registry.do(
            "INSERT INTO namespaces_token (id, namespace_id, label, scopes, version)"
            " SELECT 'many' || n || %s, id, 'many', '{publish}', 0"
            " FROM namespaces_namespace, generate_series(1, 998) AS n"
            " WHERE name = %s",
            tenant.name,
            tenant.name,
        )
        last = operator.make(tenant)
        for header in (tenant.header, "Bearer the admin token of the tests"):
            assert found(make(tenant, header)) == (409, "too_many_tokens")
        operator.revoke(tenant, last["id"])
        operator.make(tenant)

    def test_its_entry_in_the_audit_log_has_all_but_its_secret(
        self, operator: Operator, tenant: Tenant, registry: Registry
    ) -> None:
        made = make(tenant, tenant.header, prefix=tenant.id("k"), label="Zoë").json
        entry = registry.audit(tenant.name)[-1]
        first = operator.first_id(tenant)
        assert (entry["actor"], entry["channel"]) == (f"token {first}", "api")
        assert entry["address"] == "127.0.0.1"
        assert (entry["action"], entry["before"]) == ("token.create", None)
        assert entry["target"] == f"{tenant.name}/{made['id']}"
        assert entry["after"] == {
            "label": "Zoë",
            "scopes": ["publish"],
            "prefix": tenant.id("k"),
            "expires": None,
        }
        assert made["token"][16:] not in repr(entry)


class TestListing:
    """`GET …/tokens`"""

    def test_it_has_all_that_ever_were_and_no_secret(
        self, operator: Operator, tenant: Tenant
    ) -> None:
        gone = operator.make(tenant, label="gone")
        short = operator.make(tenant, label="short", expires_in_seconds=1)
        operator.revoke(tenant, gone["id"])
        answer = tenant.api.get(f"{tenant.path}/tokens", authorization=tenant.header)
        assert answer.status == 200
        assert answer.json.keys() == {"tokens"}
        labels = [one["label"] for one in answer.json["tokens"]]
        assert labels == ["first token", "gone", "short"]
        assert answer.json["tokens"][1]["revokedAt"] is not None
        assert answer.json["tokens"][2]["expiresAt"] == short["expiresAt"]
        for secret in (tenant.token, gone["token"], short["token"]):
            assert secret[16:].encode() not in answer.body

    def test_it_says_when_a_token_was_used_last(
        self, operator: Operator, tenant: Tenant
    ) -> None:
        made = operator.make(tenant)
        assert made["lastUsedAt"] is None
        assert works(tenant, made["token"])

        def used() -> object:
            return operator.tokens(tenant)[1]["lastUsedAt"]

        wait_for(used, what="its use", seconds=10)
        assert used() >= made["createdAt"]

    def test_a_use_is_written_once_a_minute(
        self, operator: Operator, tenant: Tenant, registry: Registry
    ) -> None:
        """However often it is used: its row has one new version."""
        made = operator.make(tenant)
        versions: set[str] = set()

        def row() -> tuple[Any, ...]:
            query = (
                "SELECT xmin::text, last_used_at FROM namespaces_token WHERE id = %s"
            )
            (found,) = registry.rows(query, made["id"])
            return found

        assert works(tenant, made["token"])
        wait_for(lambda: row()[1] is not None, what="its use", seconds=10)
        until = time.monotonic() + 2
        while time.monotonic() < until:
            assert works(tenant, made["token"])
            versions.add(row()[0])
        assert len(versions) == 1


def test_a_suspended_namespace_keeps_what_ends_something(
    operator: Operator, tenant: Tenant, registry: Registry
) -> None:
    spare = operator.make(tenant)
    registry.suspend(tenant.name)
    wait_for(
        lambda: found(publish(tenant, tenant.token)) == (403, "namespace_suspended"),
        what="the suspension",
        seconds=10,
    )
    listed = tenant.api.get(f"{tenant.path}/tokens", authorization=tenant.header)
    assert listed.status == 200
    for answer in (
        make(tenant, tenant.header),
        rotate(tenant, tenant.header, spare["id"]),
        tenant.api.ask(
            "DELETE",
            f"/api/state/entities/{tenant.id('a')}",
            authorization=tenant.header,
        ),
    ):
        assert found(answer) == (403, "namespace_suspended")
    assert revoke(tenant, tenant.header, spare["id"]).status == 204
    assert operator.make(tenant)["id"]
    operator.rotate(tenant, operator.first_id(tenant), overlap_seconds=60)
    registry.resume(tenant.name)
    wait_for(lambda: works_again(tenant), what="the end of it", seconds=10)


def works_again(tenant: Tenant) -> bool:
    return publish(tenant, tenant.token).status == 200
