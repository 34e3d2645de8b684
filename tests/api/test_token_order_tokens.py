"""Where several errors of making or rotating a token apply, which one is answered
(contract §0).
"""

from typing import Any

import pytest

from tests.support.tenants import NAMESPACES, Operator, Tenant
from tests.support.token_requests import LARGE_BATCH, ask, found


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
