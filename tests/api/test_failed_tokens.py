"""An address from which unusable tokens often come is throttled."""

from collections.abc import Callable

from tests.support.client import Api
from tests.support.servers import Server
from tests.support.tenants import Operator, Registry
from tests.support.token_requests import publish, works

StartServer = Callable[..., Server]


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
