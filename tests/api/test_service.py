"""Health, connectors, the directory and the documentation (contract §§3, 8, 9)."""

import re
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders

from tests.support.client import Api, event
from tests.support.servers import wait_for

DIRECTORY = "/api/state/entities/flux-core/directory"


def test_health_counts_what_there_is(api: Api) -> None:
    before = api.get("/api/health").json
    seq = api.publish("a")
    api.publish("b")
    api.publish("b", __deleted__=True)
    answer = api.get("/api/health")
    assert answer.status == 200
    assert answer.json == {
        "status": "ok",
        "version": settings.FLUX_VERSION,
        "seq": seq + 2,
        "entities": before["entities"] + 1,
    }


def test_no_connector_is_configured_yet(api: Api) -> None:
    answer = api.get("/api/connectors")
    assert answer.status == 200
    found = answer.json["connectors"]
    assert found
    for connector in found:
        assert {"name", "enabled", "status", "type"} <= set(connector)
        assert (connector["status"], connector["enabled"]) == ("not_configured", False)


def _directory(api: Api) -> dict[str, Any]:
    properties: dict[str, Any] = api.get(DIRECTORY).json["properties"]
    return properties


def test_the_directory_learns_of_a_namespace_and_forgets_none_of_it(api: Api) -> None:
    api.publish("a")
    seq = api.publish("b")

    def counted_here() -> int:
        mine = _directory(api)["namespaces"].get(api.space)
        return int(mine["entity_count"]) if mine else 0

    # It may be rewritten between the two.
    wait_for(lambda: counted_here() == 2, what="both", seconds=15)
    found = api.get(DIRECTORY).json
    properties = found["properties"]
    assert set(properties) == {
        "total_entities",
        "total_namespaces",
        "namespaces",
        "updated_at",
    }
    assert found["seq"] >= seq
    mine = properties["namespaces"][api.space]
    assert mine["entity_count"] == 2
    assert mine["last_updated"] == api.entity("b").json["lastUpdated"]
    assert properties["total_namespaces"] == len(properties["namespaces"])
    counted = sum(one["entity_count"] for one in properties["namespaces"].values())
    assert properties["total_entities"] == counted


def test_the_directory_counts_itself_nowhere(api: Api) -> None:
    api.post("/api/events", event(api.space))
    wait_for(lambda: "default" in _directory(api)["namespaces"], what="it", seconds=15)
    assert "flux-core" not in _directory(api)["namespaces"]
    assert _directory(api)["namespaces"]["default"]["entity_count"] >= 1


def test_the_directory_is_listed_and_has_no_history(api: Api) -> None:
    wait_for(lambda: api.get(DIRECTORY).status == 200, what="it", seconds=15)
    for query in ("namespace=flux-core", "prefix=flux-core/", "prefix=flux-c"):
        (found,) = api.get(f"/api/state/entities?{query}").json
        assert found["id"] == "flux-core/directory"
    assert api.get("/api/events?namespace=flux-core").json == []
    assert api.get("/api/events?entity=flux-core/directory").json == []


def test_the_documentation_needs_nothing_from_elsewhere(api: Api) -> None:
    answer = api.get("/api/docs")
    assert answer.status == 200
    used = re.findall(r'(?:src|href)="([^"]+)"', answer.body.decode())
    scripts = [address for address in used if address.startswith("/api/docs?")]
    files = [address for address in used if address.startswith(settings.STATIC_URL)]
    assert files
    assert all(re.match("/(?!/)", address) for address in used), used
    for address in files:
        assert finders.find(address.removeprefix(settings.STATIC_URL))
    (script,) = scripts
    assert b"/api/schema" in api.get(script).body


def test_the_schema_names_every_operation(api: Api) -> None:
    answer = api.get("/api/schema?format=json")
    assert answer.status == 200
    paths = answer.json["paths"]
    operations = {
        (method.upper(), path) for path, item in paths.items() for method in item
    }
    assert operations == {
        ("POST", "/api/events"),
        ("GET", "/api/events"),
        ("POST", "/api/events/batch"),
        ("GET", "/api/state/entities"),
        ("GET", "/api/state/entities/{entity_id}"),
        ("DELETE", "/api/state/entities/{entity_id}"),
        ("POST", "/api/state/entities/delete"),
        ("GET", "/api/ws"),
        ("GET", "/api/stream"),
        ("GET", "/api/admin/config"),
        ("PUT", "/api/admin/config"),
        ("POST", "/api/namespaces"),
        ("GET", "/api/namespaces/{name}"),
        ("DELETE", "/api/namespaces/{name}"),
        ("GET", "/api/namespaces/{name}/tokens"),
        ("POST", "/api/namespaces/{name}/tokens"),
        ("DELETE", "/api/namespaces/{name}/tokens/{token_id}"),
        ("POST", "/api/namespaces/{name}/tokens/{token_id}/rotate"),
        ("POST", "/api/purchases"),
        ("GET", "/api/purchases/{purchase_id}"),
        ("POST", "/api/purchases/{purchase_id}/claim"),
        ("POST", "/api/billing/stripe/webhook"),
        ("GET", "/api/connectors"),
        ("GET", "/api/health"),
    }
