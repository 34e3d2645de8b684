"""`/api/namespaces`: registering, reading, deleting (contract §6)."""

import re
from collections.abc import Callable

import pytest

from flux_project.embedded import EmbeddedPostgres
from tests.support.client import ADMIN_HEADER, Api
from tests.support.servers import Server, make_database, wait_for
from tests.support.tenants import (
    NAMESPACES,
    Operator,
    Registry,
    bearer,
    fresh_name,
    registry_of,
)

StartServer = Callable[..., Server]
TOKEN = re.compile(r"flux_[0-9a-z]{10}_[0-9A-Za-z]{49}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_who_registers_one_gets_its_first_token_which_has_all_scopes(
    operator: Operator,
) -> None:
    name = fresh_name()
    answer = operator.ask("POST", NAMESPACES, {"name": name, "unknown": 1})
    assert answer.status == 200
    assert answer.json.keys() == {"namespaceId", "name", "token"}
    assert re.fullmatch("ns_[0-9a-z]{8}", answer.json["namespaceId"])
    assert answer.json["name"] == name
    assert TOKEN.fullmatch(answer.json["token"])
    header = bearer(answer.json["token"])
    (token,) = operator.api.get(
        f"{NAMESPACES}/{name}/tokens", authorization=header
    ).json["tokens"]
    assert set(token["scopes"]) == {"publish", "delete", "connectors", "tokens"}
    assert token["prefix"] is token["expiresAt"] is token["revokedAt"] is None
    assert token["id"] in answer.json["token"]


def test_its_token_publishes_at_once(operator: Operator) -> None:
    assert operator.register().seq_of("a") > 0


def test_anyone_reads_what_is_public_of_it(operator: Operator) -> None:
    tenant = operator.register()
    for rest in ("a", "b", "b"):
        tenant.seq_of(rest)
    answer = operator.api.get(tenant.path)
    assert answer.status == 200
    assert answer.json.keys() == {"namespaceId", "name", "createdAt", "entityCount"}
    assert (answer.json["name"], answer.json["entityCount"]) == (tenant.name, 2)
    assert TIME.fullmatch(answer.json["createdAt"])


def test_a_new_one_has_no_entities(operator: Operator) -> None:
    assert operator.api.get(operator.register().path).json["entityCount"] == 0


@pytest.mark.parametrize(
    "name", ["nobody-has-this", "x", "flux-core", "default", "A", "%00", "a%00b", "%7F"]
)
def test_an_unknown_one_is_not_found(operator: Operator, name: str) -> None:
    for ask in (operator.api.get, lambda path: operator.ask("DELETE", path)):
        answer = ask(f"{NAMESPACES}/{name}")
        assert (answer.status, answer.code) == (404, "namespace_not_found")


def test_a_deleted_one_is_gone_and_what_it_wrote_is_not(operator: Operator) -> None:
    tenant = operator.register()
    seq = tenant.seq_of("a", {"x": 1})
    answer = operator.ask("DELETE", tenant.path)
    assert (answer.status, answer.body) == (204, b"")
    for answer in (
        operator.api.get(tenant.path),
        operator.ask("DELETE", tenant.path),
        operator.ask("GET", f"{tenant.path}/tokens"),
        operator.ask("POST", f"{tenant.path}/tokens", {"label": "x"}),
    ):
        assert (answer.status, answer.code) == (404, "namespace_not_found")
    refused = tenant.publish("a")
    assert (refused.status, refused.code) == (401, "invalid_token")
    entity = operator.api.get(f"/api/state/entities/{tenant.id('a')}")
    assert (entity.status, entity.json["properties"]) == (200, {"x": 1})
    history = operator.api.get(f"/api/events?entity={tenant.id('a')}").json
    assert [one["seq"] for one in history] == [seq]


@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_name_is_never_given_again(operator: Operator, is_deleted: bool) -> None:  # noqa: FBT001  a table's
    tenant = operator.register()
    if is_deleted:
        operator.delete(tenant)
    answer = operator.ask("POST", NAMESPACES, {"name": tenant.name})
    assert (answer.status, answer.code) == (409, "name_taken")
    assert answer.json["field"] == "name"


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "a" * 33,
        "",
        "Coral",
        "co ral",
        "co/ral",
        "co.ral",
        "cöral",
        "coral\n",
        "co\x00ral",
        "flux-core",
        "default",
        None,
        5,
        ["coral"],
        {"name": "coral"},
        True,
    ],
)
def test_a_bad_name_is_refused_by_field(
    operator: Operator, registry: Registry, name: object
) -> None:
    before = registry.fingerprint()
    answer = operator.ask("POST", NAMESPACES, {"name": name})
    assert (answer.status, answer.code) == (400, "invalid_name")
    assert answer.json["field"] == "name"
    assert registry.fingerprint() == before


@pytest.mark.parametrize("stem", ["x", "y" * 20, "_-", "0"])
def test_the_bounds_of_a_name_are_allowed(operator: Operator, stem: str) -> None:
    name = fresh_name(stem)
    assert operator.register(name[:32]).name == name[:32]
    assert operator.register(fresh_name("z").ljust(32, "0")).seq_of("a")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"coral"', b"null", b'{"name":"\xff"}', b"[" * 5_000]
)
def test_a_body_that_is_no_object_is_refused(
    operator: Operator, registry: Registry, body: bytes
) -> None:
    before = registry.fingerprint()
    answer = operator.ask("POST", NAMESPACES, body)
    assert (answer.status, answer.code) == (400, "invalid_body")
    assert registry.fingerprint() == before


def test_every_change_is_in_the_audit_log_and_no_secret_is(
    operator: Operator, registry: Registry
) -> None:
    tenant = operator.register()
    token_id = operator.first_id(tenant)
    namespace_id = operator.api.get(tenant.path).json["namespaceId"]
    operator.delete(tenant)
    created, deleted = registry.audit(tenant.name)
    by = {"actor": "admin token", "channel": "api", "address": "127.0.0.1"}
    assert created == by | {
        "action": "namespace.create",
        "target": tenant.name,
        "before": None,
        "after": {"id": namespace_id, "token": token_id},
    }
    assert deleted == by | {
        "action": "namespace.delete",
        "target": tenant.name,
        "before": {"id": namespace_id},
        "after": {"deleted": True},
    }
    assert tenant.token[16:] not in repr((created, deleted))


def test_the_audit_log_only_grows(registry: Registry, operator: Operator) -> None:
    operator.register()
    for change in (
        "UPDATE namespaces_auditentry SET actor = 'x'",
        "DELETE FROM namespaces_auditentry",
        "TRUNCATE namespaces_auditentry",
    ):
        with pytest.raises(Exception, match="append-only"):
            registry.do(change)


def test_without_an_admin_token_on_the_server_nobody_registers(
    start_auth: StartServer,
) -> None:
    api = Api(start_auth(FLUX_ADMIN_TOKEN="").port)
    for header in ({}, {"authorization": "Bearer "}, {"authorization": ADMIN_HEADER}):
        answer = api.post(NAMESPACES, {"name": fresh_name()}, **header)
        assert (answer.status, answer.code) == (403, "admin_disabled")
        assert "FLUX_ADMIN_TOKEN" in answer.json["error"]
    api.close()


class TestOpenRegistration:
    """FLUX_OPEN_REGISTRATION=true: anyone registers, so often."""

    MOST = 3

    @pytest.fixture
    def database(self, postgres: EmbeddedPostgres) -> str:
        """Of its own, as its runtime config is changed."""
        return make_database(postgres, f"flux_open_{fresh_name('r').replace('-', '_')}")

    def _limit(self, database: str) -> None:
        with registry_of(database) as opened:
            opened.do(
                "UPDATE namespaces_runtimeconfig"
                " SET registrations_per_address_per_hour = %s",
                self.MOST,
            )

    def test_anyone_registers_as_often_as_an_address_may(
        self, start_auth: StartServer, database: str
    ) -> None:
        self._limit(database)
        api = Api(start_auth(database=database, FLUX_OPEN_REGISTRATION="true").port)
        for _ in range(self.MOST):
            answer = api.post(NAMESPACES, {"name": fresh_name()})
            assert answer.status == 200
            header = bearer(answer.json["token"])
            path = f"{NAMESPACES}/{answer.json['name']}/tokens"
            assert api.get(path, authorization=header).status == 200
        last = fresh_name()
        for _ in range(2):
            refused = api.post(NAMESPACES, {"name": last})
            assert (refused.status, refused.code) == (429, "too_many_registrations")
            assert 3_500 < int(refused.headers["retry-after"]) <= 3_600
        assert api.get(f"{NAMESPACES}/{last}").status == 404
        assert api.post(NAMESPACES, {"name": "x"}).status == 400, "what is malformed"
        self._operators_are_not_counted(api, last)
        with registry_of(database) as opened:
            query = "SELECT actor FROM namespaces_auditentry ORDER BY id"
            actors = [actor for (actor,) in opened.rows(query)]
        assert actors == ["anyone"] * self.MOST + ["admin token"]
        api.close()

    def _operators_are_not_counted(self, api: Api, name: str) -> None:
        answer = api.post(NAMESPACES, {"name": name}, authorization=ADMIN_HEADER)
        assert answer.status == 200
        # Deleting and changing the config still need the admin token.
        assert api.ask("DELETE", f"{NAMESPACES}/{name}").status == 401
        assert api.ask("PUT", "/api/admin/config", {}).status == 401

    def test_an_old_registration_counts_no_more(
        self, start_auth: StartServer, database: str
    ) -> None:
        self._limit(database)
        api = Api(start_auth(database=database, FLUX_OPEN_REGISTRATION="true").port)
        with registry_of(database) as opened:
            for age in ("61 minutes", "59 minutes", "58 minutes"):
                opened.do(
                    "INSERT INTO namespaces_auditentry"
                    " (actor, channel, address, action, target, after, at)"
                    " VALUES ('anyone', 'api', '127.0.0.1', 'namespace.create', 'x',"
                    """ '{"network": "127.0.0.1"}', now() - %s::interval)""",
                    age,
                )
        assert api.post(NAMESPACES, {"name": fresh_name()}).status == 200
        refused = api.post(NAMESPACES, {"name": fresh_name()})
        assert refused.status == 429
        assert 50 <= int(refused.headers["retry-after"]) <= 60
        api.close()


def test_a_registration_is_known_to_every_process_at_once(
    operator: Operator, start_auth: StartServer
) -> None:
    other = Api(start_auth().port)
    tenant = operator.register()
    tenant.api = other
    assert tenant.publish("a").status == 200
    operator.delete(tenant)
    assert tenant.publish("a").status == 401
    wait_for(lambda: other.get(tenant.path).status == 404, what="its end", seconds=10)
    other.close()
