"""The API does what its OpenAPI description says, whatever is thrown at it."""

import json
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
from tests.support.client import Api
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
_WITHOUT_INPUT = {"health", "listConnectors", "readConfig"}  # nothing to get wrong
_SETTINGS = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def description(server: Server) -> Any:
    client = Api(server.port)
    found = client.get("/api/schema?format=json").json
    client.close()
    return found


@pytest.mark.parametrize(
    ("name", "mode"),
    [(name, "positive") for name in _NAMES]
    + [(name, "negative") for name in _NAMES if name not in _WITHOUT_INPUT],
)
def test_an_operation_keeps_to_its_description(
    server: Server, description: dict[str, Any], name: str, mode: str
) -> None:
    schema = schemathesis.openapi.from_dict(description)
    schema.config.update(base_url=server.base_url)
    operation = schema.find_operation_by_id(name)
    cases = operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode))

    @_SETTINGS
    @given(case=cases)
    def each(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(checks=CHECKS)

    each()


def test_its_examples_are_true(api: Api, description: dict[str, Any]) -> None:
    """Each example of a request body is accepted as it stands."""
    for path, item in description["paths"].items():
        content = item.get("post", {}).get("requestBody", {}).get("content", {})
        for example in content.get("application/json", {}).get("examples", {}).values():
            body = json.dumps(example["value"]).encode()
            answer = api.post(path, body)
            assert answer.status == 200, (path, example, answer.body)
