"""With `DEBUG` Django answers with pages of its own; never under /api (contract §0)."""

from collections.abc import Callable, Iterator

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404
from django.test import Client
from django.test.utils import override_settings

from flux_project.views import HealthViewSet
from tests.support.client import Api, event
from tests.support.servers import Server

StartServer = Callable[..., Server]


@pytest.fixture(params=["true", "false"], ids=["lane", "plain"])
def debugging(
    request: pytest.FixtureRequest, start_server: StartServer
) -> Iterator[Api]:
    client = Api(start_server(DEBUG="true", FLUX_LANE=request.param).port)
    yield client
    client.close()


def test_an_unknown_route_is_json(debugging: Api) -> None:
    for path in ("/api/nothing", "/api", "/api/", "/api/events/", "/api/nothing?a=b"):
        answer = debugging.get(path, accept="text/html")
        assert (answer.status, answer.code) == (404, "unknown_route")
        assert "x-request-id" in answer.headers
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_what_is_asked_of_a_known_one_is_answered_as_ever(debugging: Api) -> None:
    assert debugging.publish("a", x=1)
    assert debugging.entity("a").json["properties"] == {"x": 1}
    assert debugging.entity("none").code == "entity_not_found"
    assert debugging.ask("PUT", "/api/events").code == "method_not_allowed"
    assert debugging.post("/api/events", event("")).status == 400
    assert debugging.get("/api/docs").status == 200
    assert b"Using the URLconf" in debugging.get("/nothing").body  # a page for people


RAISED = {
    "a bug": (RuntimeError("the secret"), 500, "internal_error"),
    "what is suspicious": (SuspiciousOperation("the secret"), 400, "invalid"),
    "what is forbidden": (PermissionDenied("the secret"), 403, "forbidden"),
    "what is not there": (Http404("the secret"), 404, "unknown_route"),
}


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize(("error", "status", "code"), RAISED.values(), ids=RAISED)
def test_an_error_beside_the_views_is_json(
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    code: str,
    *,
    debug: bool,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(HealthViewSet, "initialize_request", fail)
    with override_settings(DEBUG=debug):
        answer = Client(raise_request_exception=False).get("/api/health")
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/json"
    assert answer.json()["code"] == code
    assert b"the secret" not in answer.content
