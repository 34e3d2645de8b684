"""In open mode no token helps or hinders, but the admin's (contract §0)."""

import pytest

from tests.support.client import ADMIN_HEADER, Api, event
from tests.support.decisions import CONFIG, DECISIONS, example_of

HEADERS = {
    "none": {},
    "empty": {"authorization": ""},
    "basic": {"authorization": "Basic eDp5"},
    "malformed": {"authorization": "Bearer flux_nothing"},
    "other characters": {"authorization": "Bearer \xff\xfe"},
    "well formed": {"authorization": "Bearer flux_k3v9x2m4q1_" + "0" * 49},
    "admin": {"authorization": ADMIN_HEADER},
}


class TestOpenMode:
    """In open mode a header is ignored, whatever it says (contract §0)."""

    @pytest.mark.parametrize("name", HEADERS)
    def test_everything_is_written_with_any_header(self, api: Api, name: str) -> None:
        headers = HEADERS[name]
        body = event(api.id("a"), {"x": 1})
        answers = [
            api.post("/api/events", body, **headers),
            api.post("/api/events/batch", [body], **headers),
            api.ask("DELETE", f"/api/state/entities/{api.id('a')}", **headers),
            api.post("/api/events", event("no-namespace", {"x": 1}), **headers),
            api.post("/api/events", body, **headers),
            api.post("/api/state/entities/delete", {"namespace": api.space}, **headers),
        ]
        for answer in answers:
            assert answer.status == 200
            assert "ratelimit" not in answer.headers
        assert answers[1].json["successful"] == answers[-1].json["deleted"] == 1

    @pytest.mark.parametrize("name", HEADERS)
    def test_there_are_no_namespaces_to_register(self, api: Api, name: str) -> None:
        headers = HEADERS[name]
        found = [
            (route, method)
            for route, decided in DECISIONS.items()
            for method in decided
            if route.startswith("api/namespaces")
        ]
        assert len(found) == 7
        for route, method in found:
            answer = api.ask(method, example_of(route), b"{", **headers)
            assert (answer.status, answer.code) == (404, "open_mode")
            assert "FLUX_AUTH_ENABLED" in answer.json["error"]

    @pytest.mark.parametrize("name", HEADERS)
    def test_the_config_needs_the_admin_token_all_the_same(
        self, api: Api, name: str
    ) -> None:
        answer = api.ask("PUT", CONFIG, {}, **HEADERS[name])
        assert answer.status == (200 if name == "admin" else 401)
