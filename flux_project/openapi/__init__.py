"""What the API says about itself at /api/schema: one description per operation.

Written as plain OpenAPI, because endpoint functions take and give bytes: there is no
serializer to derive it from. Invariant: the API's tests hold every answer against it.
"""

from typing import Any

from flux_project.openapi import live, tenant_schemas
from flux_project.openapi.reading import GET_ENTITY, HISTORY, LIST_ENTITIES
from flux_project.openapi.schemas import COMPONENTS
from flux_project.openapi.service import (
    CHANGE_CONFIG,
    HEALTH,
    LIST_CONNECTORS,
    READ_CONFIG,
)
from flux_project.openapi.shop import BUY, CLAIM, READ_PURCHASE, STRIPE_WEBHOOK
from flux_project.openapi.tenants import (
    DELETE_NAMESPACE,
    LIST_TOKENS,
    MAKE_TOKEN,
    READ_NAMESPACE,
    REGISTER,
    REVOKE_TOKEN,
    ROTATE_TOKEN,
)
from flux_project.openapi.writing import (
    DELETE_ENTITY,
    DELETE_MATCHING,
    PUBLISH,
    PUBLISH_BATCH,
)

__all__ = [
    "BUY",
    "CHANGE_CONFIG",
    "CLAIM",
    "DELETE_ENTITY",
    "DELETE_MATCHING",
    "DELETE_NAMESPACE",
    "GET_ENTITY",
    "HEALTH",
    "HISTORY",
    "LIST_CONNECTORS",
    "LIST_ENTITIES",
    "LIST_TOKENS",
    "MAKE_TOKEN",
    "PUBLISH",
    "PUBLISH_BATCH",
    "READ_CONFIG",
    "READ_NAMESPACE",
    "READ_PURCHASE",
    "REGISTER",
    "REVOKE_TOKEN",
    "ROTATE_TOKEN",
    "STRIPE_WEBHOOK",
    "finish",
]

_TAGS = [
    {"name": "Events", "description": "Publish what happened; read what happened."},
    {"name": "Entities", "description": "The world as it is now, derived from events."},
    {"name": "Live", "description": "Hear of every change as it happens."},
    {"name": "Namespaces", "description": "Who may write where (auth mode)."},
    {"name": "Purchases", "description": "A namespace is bought (auth mode)."},
    {"name": "Service", "description": "Health, configuration, connectors."},
]
_ADMIN_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "description": "The value of FLUX_ADMIN_TOKEN on the server.",
}
_NAMESPACE_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "flux_<id>_<secret>",
    "description": "A namespace's token. Writing needs one in auth mode; in open mode"
    " nobody has one, and what the header says is ignored.",
}
_CLAIM_SECRET = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "claim_<secret>",
    "description": "The claim secret of a purchase, from the answer that began it.",
}


def finish(
    result: dict[str, Any], generator: object, request: object, *, public: bool
) -> dict[str, Any]:
    """drf-spectacular's hook: adds what belongs to no single operation."""
    result["components"] = {
        "schemas": COMPONENTS | tenant_schemas.COMPONENTS,
        "securitySchemes": {
            "adminToken": _ADMIN_TOKEN,
            "namespaceToken": _NAMESPACE_TOKEN,
            "claimSecret": _CLAIM_SECRET,
        },
    }
    result["tags"] = _TAGS
    result["paths"] |= live.PATHS
    # An entity may be called `delete`; its address is no operation of its own.
    shared = result["paths"]["/api/state/entities/delete"]
    for method in ("get", "delete"):
        shared.pop(method, None)
    return result
