"""A token never grants more than who made or rotated it has (contract §6)."""

from typing import Any

import pytest

from tests.support.tenants import ALL_SCOPES, Operator, Registry, Tenant, bearer
from tests.support.token_requests import DAY_SECONDS, found, make, publish, rotate


class TestNeverMoreThanItsMaker:
    """A token never grants more than its maker has (contract §6)."""

    @pytest.mark.parametrize("missing", ["publish", "delete", "connectors"])
    def test_no_scope_that_its_maker_lacks(
        self, operator: Operator, tenant: Tenant, missing: str
    ) -> None:
        has = [scope for scope in ALL_SCOPES if scope != missing]
        maker = operator.header(tenant, scopes=has)
        assert found(make(tenant, maker, scopes=[missing])) == (403, "missing_scope")
        more = make(tenant, maker, scopes=list(ALL_SCOPES))
        assert found(more) == (403, "missing_scope")
        assert make(tenant, maker, scopes=has).status == 201

    def test_who_cannot_publish_makes_no_token_by_default(
        self, operator: Operator, tenant: Tenant
    ) -> None:
        maker = operator.header(tenant, scopes=["tokens"])
        assert found(make(tenant, maker)) == (403, "missing_scope")

    def test_no_prefix_beyond_its_makers(
        self, operator: Operator, tenant: Tenant
    ) -> None:
        prefix = tenant.id("kitchen/")
        maker = operator.header(tenant, scopes=["publish", "tokens"], prefix=prefix)
        for beyond in ("kitchen", "kitch", "garden/", "kitchen2/"):
            answer = make(tenant, maker, prefix=tenant.id(beyond))
            assert found(answer) == (403, "outside_prefix"), beyond
        assert make(tenant, maker, prefix=tenant.id("kitchen/oven")).status == 201
        left_open = make(tenant, maker)
        assert (left_open.status, left_open.json["prefix"]) == (201, prefix)
        assert publish(tenant, left_open.json["token"], "a").status == 403

    def test_who_asks_for_the_whole_namespace_asks_for_more_than_a_part(
        self, operator: Operator, tenant: Tenant
    ) -> None:
        scopes, prefix = ["publish", "tokens"], tenant.id("kitchen/")
        maker = operator.header(tenant, scopes=scopes, prefix=prefix)
        answer = make(tenant, maker, prefix=tenant.id(""))
        assert found(answer) == (403, "outside_prefix")

    def test_no_longer_life_than_its_makers(
        self, operator: Operator, tenant: Tenant
    ) -> None:
        maker = operator.make(
            tenant, scopes=["publish", "tokens"], expires_in_seconds=DAY_SECONDS
        )
        header = bearer(maker["token"])
        longer = make(tenant, header, expires_in_seconds=DAY_SECONDS + 60)
        assert found(longer) == (403, "outlives_maker")
        assert make(tenant, header, expires_in_seconds=60).status == 201
        left_open = make(tenant, header)
        assert left_open.json["expiresAt"] == maker["expiresAt"]
        # What it made may make the same again, to the microsecond.
        again = bearer(make(tenant, header, scopes=["publish", "tokens"]).json["token"])
        assert make(tenant, again).json["expiresAt"] == maker["expiresAt"]

    def test_an_old_secret_makes_nothing_that_outlives_its_overlap(
        self, operator: Operator, tenant: Tenant
    ) -> None:
        first = operator.first_id(tenant)
        operator.rotate(tenant, first, overlap_seconds=600)
        made = make(tenant, tenant.header)
        assert made.status == 201
        assert made.json["expiresAt"] is not None
        longer = make(tenant, tenant.header, expires_in_seconds=700)
        assert found(longer) == (403, "outlives_maker")
        assert found(rotate(tenant, tenant.header, first)) == (403, "outlives_maker")

    @pytest.mark.parametrize(
        ("theirs", "code"),
        [
            ({"scopes": ["delete"]}, "missing_scope"),
            ({"scopes": ["publish", "delete", "tokens"]}, "missing_scope"),
            ({"prefix": None}, "outside_prefix"),
            ({"prefix": "garden/"}, "outside_prefix"),
            ({"expires_in_seconds": None}, "outlives_maker"),
            ({"expires_in_seconds": 2 * DAY_SECONDS}, "outlives_maker"),
        ],
    )
    def test_nor_by_the_way_of_a_rotation(
        self,
        operator: Operator,
        tenant: Tenant,
        registry: Registry,
        theirs: dict[str, Any],
        code: str,
    ) -> None:
        same = {"prefix": "kitchen/", "expires_in_seconds": DAY_SECONDS}
        scopes = {"scopes": ["publish", "tokens"]}
        maker = operator.header(tenant, **_placed(tenant, same | scopes))
        other = operator.make(tenant, **_placed(tenant, same | theirs))
        before = registry.fingerprint()
        assert found(rotate(tenant, maker, other["id"])) == (403, code)
        assert registry.fingerprint() == before
        assert works_at(tenant, other, theirs)

    def test_a_lesser_token_is_rotated(
        self, operator: Operator, tenant: Tenant
    ) -> None:
        maker = operator.header(tenant, scopes=["publish", "tokens"])
        lesser = operator.make(tenant, prefix=tenant.id("k/"), expires_in_seconds=600)
        answer = rotate(tenant, maker, lesser["id"])
        assert answer.status == 200
        assert answer.json["prefix"] == tenant.id("k/")
        assert answer.json["expiresAt"] == lesser["expiresAt"]


def _placed(tenant: Tenant, wanted: dict[str, Any]) -> dict[str, Any]:
    prefix = wanted.get("prefix")
    return wanted | {"prefix": None if prefix is None else tenant.id(prefix)}


def works_at(tenant: Tenant, token: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """It still has its old secret."""
    if "publish" not in token["scopes"]:
        return True
    rest = "garden/a" if wanted.get("prefix") == "garden/" else "kitchen/a"
    return publish(tenant, token["token"], rest).status == 200
