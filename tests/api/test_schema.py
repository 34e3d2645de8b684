"""The API does what its OpenAPI description says, whatever is thrown at it, in both
modes."""

import itertools
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from flux_project import openapi
from flux_project.embedded import EmbeddedPostgres
from tests.support import servers
from tests.support.client import ADMIN_HEADER, Api
from tests.support.servers import Server

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
_NAMES = [
    getattr(openapi, name)["operation"]["operationId"]
    for name in openapi.__all__
    if name.isupper()
]
_WRITES = ["publishEvent", "publishEvents", "deleteEntity", "deleteEntities"]
_OF_NAMESPACES = [name for name in _NAMES if name.endswith(("Namespace", "Tokens"))]
_OF_NAMESPACES += [name for name in _NAMES if name.endswith("Token")]
_WITHOUT_INPUT = {"health", "listConnectors", "readConfig"}  # nothing to get wrong
_SETTINGS = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)

SOLD = re.compile("/(purchases|billing)")
IN_AUTH_MODE = re.compile(f"/namespaces|{SOLD.pattern}")


@pytest.fixture(scope="module")
def description(server: Server) -> Any:
    return described(server)


def described(server: Server) -> Any:
    """What a server says about itself."""
    client = Api(server.port)
    found = client.get("/api/schema?format=json").json
    client.close()
    return found


@dataclass(frozen=True)
class Tenant:
    """A server in auth mode, and a token of the namespace that the examples name."""

    server: Server
    description: Any
    token: str

    def bearer(self, who: str) -> str:
        return ADMIN_HEADER if who == "admin" else f"Bearer {self.token}"


_numbers = itertools.count()


@contextmanager
def tenancy(postgres: EmbeddedPostgres, lane: str) -> Iterator[Tenant]:
    """On a database of its own, as a name is given only once."""
    database = servers.make_database(postgres, f"schema_{next(_numbers)}")
    server = servers.serve(
        database,
        FLUX_AUTH_ENABLED="true",
        FLUX_LANE="true" if lane == "lane" else "false",
    )
    try:
        client = Api(server.port)
        made = client.post(
            "/api/namespaces", {"name": "dawn-coral"}, authorization=ADMIN_HEADER
        )
        client.close()
        yield Tenant(server, described(server), made.json["token"])
    finally:
        server.stop()


@pytest.fixture(scope="module", params=["lane", "plain"])
def tenant(
    request: pytest.FixtureRequest, postgres: EmbeddedPostgres
) -> Iterator[Tenant]:
    with tenancy(postgres, request.param) as made:
        yield made


def hold(
    description: dict[str, Any],
    name: str,
    mode: str,
    *,
    server: Server,
    bearer: str | None = None,
) -> set[int]:
    """Throws requests at an operation; the statuses that it answered."""
    schema = schemathesis.openapi.from_dict(description)
    schema.config.update(base_url=server.base_url)
    operation = schema.find_operation_by_id(name)
    cases = operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode))
    statuses: set[int] = set()

    @_SETTINGS
    @given(case=cases)
    def each(case: schemathesis.Case[Any]) -> None:
        if bearer is not None:
            case.headers["Authorization"] = bearer
        statuses.add(case.call_and_validate(checks=CHECKS).status_code)

    each()
    return statuses


@pytest.mark.parametrize(
    ("name", "mode"),
    [(name, "positive") for name in _NAMES]
    + [(name, "negative") for name in _NAMES if name not in _WITHOUT_INPUT],
)
def test_an_operation_keeps_to_its_description(
    server: Server, description: dict[str, Any], name: str, mode: str
) -> None:
    hold(description, name, mode, server=server)


@pytest.mark.parametrize("who", ["admin", "namespace"])
@pytest.mark.parametrize("name", [*_WRITES, *_OF_NAMESPACES])
def test_it_keeps_to_its_description_in_auth_mode(
    tenant: Tenant, name: str, who: str
) -> None:
    """With the wrong token for it, or the right one."""
    bearer, server = tenant.bearer(who), tenant.server
    for mode in ("positive", "negative"):
        statuses = hold(tenant.description, name, mode, server=server, bearer=bearer)
        if who == "admin" and name in _WRITES:  # it publishes nothing
            assert statuses <= {401, 405, 429}


def examples(description: dict[str, Any]) -> Iterator[tuple[str, object]]:
    """(path, body) of each example of a POST."""
    for path, item in description["paths"].items():
        content = item.get("post", {}).get("requestBody", {}).get("content", {})
        for example in content.get("application/json", {}).get("examples", {}).values():
            yield path, example["value"]


def test_its_examples_are_true(api: Api, description: dict[str, Any]) -> None:
    """Each example of a request body is accepted as it stands."""
    found = [one for one in examples(description) if not IN_AUTH_MODE.search(one[0])]
    assert len(found) > 6
    for path, body in found:
        answer = api.post(path, json.dumps(body).encode())
        assert answer.status == 200, (path, body, answer.body)


@pytest.mark.parametrize("lane", ["lane", "plain"])
def test_its_examples_are_true_in_auth_mode(
    postgres: EmbeddedPostgres, lane: str
) -> None:
    """The same with the token of the namespace that they name; those of namespaces,
    too, but for the registration itself, which made it."""
    of_namespaces = 0
    with tenancy(postgres, lane) as tenant:
        api = Api(tenant.server.port)
        for path, body in examples(tenant.description):
            if SOLD.search(path):
                continue  # tests/api/test_purchases.py has a server that sells
            if path == "/api/namespaces":
                assert body == {"name": "dawn-coral"}
                continue
            of_namespaces += "/namespaces/" in path
            place = path.replace("{name}", "dawn-coral")
            place = place.replace("{token_id}", tenant.token.split("_")[1])
            header = tenant.bearer("namespace")
            answer = api.post(place, json.dumps(body).encode(), authorization=header)
            assert answer.status in {200, 201}, (path, body, answer.body)
        api.close()
    assert of_namespaces == 2
