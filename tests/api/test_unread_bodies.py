"""A 401 is answered before a body is read, and so is a 413 that was announced
(contract §0).
"""

import json

import pytest

from tests.support.client import Line, event, request
from tests.support.servers import Server
from tests.support.tenants import Tenant, bearer
from tests.support.token_requests import STRANGERS

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
