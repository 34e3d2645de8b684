"""`/api/namespaces/:name/tokens`: made, listed, rotated, revoked (contract §6)."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client import Answer, Api, event
from tests.support.servers import Server, wait_for
from tests.support.tenants import ALL_SCOPES, Operator, Registry, Tenant, bearer

StartServer = Callable[..., Server]
KEYS = {
    "id",
    "label",
    "scopes",
    "prefix",
    "createdAt",
    "expiresAt",
    "lastUsedAt",
    "revokedAt",
}
DAY_SECONDS = 86_400
BAD: dict[str, tuple[object, ...]] = {
    "label": (None, 5, "", "  ", "x" * 101, "a\nb", "a\0b", "\u2028", ["x"]),
    "scopes": ([], "publish", {}, 0, [None], ["fly"], ["Publish"], [[]]),
    "prefix": ("", "a", 5, [], "flux-core/"),
    "expires_in_seconds": (0, -1, 1.5, "60", True, 315_360_001, 10**30, []),
}
WRONG = [(field, bad) for field, values in BAD.items() for bad in values]


@pytest.fixture
def tenant(operator: Operator) -> Tenant:
    return operator.register()


def make(tenant: Tenant, header: str, **wanted: object) -> Answer:
    body = {"label": "made", **wanted}
    return tenant.api.post(f"{tenant.path}/tokens", body, authorization=header)


def rotate(tenant: Tenant, header: str, token_id: object, **wanted: object) -> Answer:
    path = f"{tenant.path}/tokens/{token_id}/rotate"
    return tenant.api.post(path, wanted, authorization=header)


def revoke(tenant: Tenant, header: str, token_id: object) -> Answer:
    path = f"{tenant.path}/tokens/{token_id}"
    return tenant.api.ask("DELETE", path, authorization=header)


def publish(tenant: Tenant, text: str, rest: str = "a") -> Answer:
    body = event(tenant.id(rest))
    return tenant.api.post("/api/events", body, authorization=bearer(text))


def works(tenant: Tenant, text: str) -> bool:
    answer = publish(tenant, text)
    assert answer.status in {200, 401}, answer
    return answer.status == 200


def found(answer: Answer) -> tuple[int, object]:
    return answer.status, answer.code


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


def test_who_fails_often_is_throttled_and_a_good_token_is_not(
    start_auth: StartServer, operator: Operator, auth_database: str, registry: Registry
) -> None:
    tenant = operator.register()
    limit = "UPDATE namespaces_runtimeconfig SET failed_tokens_per_address_per_minute"
    registry.do(f"{limit} = 3")
    try:
        api = Api(start_auth().port)
        tenant.api = api
        assert works(tenant, tenant.token)
        answers = [publish(tenant, "flux_no") for _ in range(5)]
        assert [answer.status for answer in answers] == [401, 401, 401, 429, 429]
        assert answers[-1].code == "too_many_failed_tokens"
        assert 0 < int(answers[-1].headers["retry-after"]) <= 61
        admin = api.ask("PUT", "/api/admin/config", {}, authorization="Bearer x")
        assert admin.status == 429
        assert works(tenant, tenant.token)
        api.close()
    finally:
        registry.do(f"{limit} = 1000000")
