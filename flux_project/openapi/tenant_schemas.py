"""The shapes of namespaces and tokens, each named once (contract §6)."""

from flux_project.openapi.parts import Schema

_TIME: Schema = {
    "type": "string",
    "format": "date-time",
    "description": "RFC 3339 in UTC, with `Z`.",
}
_TIME_OR_NONE: Schema = {**_TIME, "type": ["string", "null"]}
_NAME: Schema = {"type": "string", "pattern": "^[a-z0-9_-]{3,32}$"}
_NAMESPACE_ID: Schema = {"type": "string", "pattern": "^ns_[0-9a-z]{8}$"}
_TEXT: Schema = {
    "type": "string",
    "pattern": "^flux_[0-9a-z]{10}_[0-9A-Za-z]{49}$",
    "description": "The token itself; this answer alone ever has it.",
}
_SCOPES: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {"enum": ["publish", "delete", "connectors", "tokens"]},
    "description": "What it is good for.",
}
_PREFIX: Schema = {
    "type": ["string", "null"],
    "description": "What the ids begin with that it may write: `name/` or longer.",
}
_LABEL: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 100,
    "description": "What people call it: printable characters, not only blanks.",
}

_TOKEN: dict[str, Schema] = {
    "id": {"type": "string", "description": "Part of the token's text; no secret."},
    "label": _LABEL,
    "scopes": _SCOPES,
    "prefix": _PREFIX,
    "createdAt": _TIME,
    "expiresAt": _TIME_OR_NONE,
    "lastUsedAt": {**_TIME_OR_NONE, "description": "To the minute."},
    "revokedAt": _TIME_OR_NONE,
}
_PURCHASE: dict[str, Schema] = {
    "purchase_id": {"type": "string"},
    "checkout_url": {
        "type": ["string", "null"],
        "description": "Where a person pays; null where there is nothing to pay.",
    },
    "amount": {
        "type": "integer",
        "minimum": 0,
        "description": "In the currency's smallest unit, such as cents.",
    },
    "currency": {"type": "string", "pattern": "^[a-z]{3}$"},
    "expires_at": {**_TIME, "description": "Until then it may be paid."},
}


def _object(properties: dict[str, Schema]) -> Schema:
    """An object that always has all of these."""
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
    }


COMPONENTS: dict[str, Schema] = {
    "Registered": _object(
        {"namespaceId": _NAMESPACE_ID, "name": _NAME, "token": _TEXT}
    ),
    "Namespace": _object(
        {
            "namespaceId": _NAMESPACE_ID,
            "name": _NAME,
            "createdAt": _TIME,
            "entityCount": {"type": "integer", "minimum": 0},
        }
    ),
    "BegunPurchase": _object(
        {
            **_PURCHASE,
            "claim_secret": {
                "type": "string",
                "pattern": "^claim_[0-9A-Za-z_-]{43}$",
                "description": "What claims it; this answer alone ever has it.",
            },
        }
    ),
    "Purchase": _object(
        {
            "status": {"enum": ["pending", "paid", "claimed", "expired", "refunded"]},
            "namespace": {
                "type": ["string", "null"],
                "description": "Its name, once it exists.",
            },
            **_PURCHASE,
        }
    ),
    "Received": _object({"received": {"const": True}}),
    "Token": _object(_TOKEN),
    "MadeToken": _object({**_TOKEN, "token": _TEXT}),
    "TokenWanted": {
        "type": "object",
        "required": ["label"],
        "properties": {
            "label": _LABEL,
            "scopes": {
                **_SCOPES,
                "type": ["array", "null"],
                "description": "What it is to be good for. Default: `publish` alone.",
            },
            "prefix": {
                **_PREFIX,
                "description": "What the ids are to begin with that it may write:"
                " `name/` or longer. Default: that of the token that makes it.",
            },
            "expires_in_seconds": {
                "type": ["integer", "null"],
                "minimum": 1,
                "maximum": 315_360_000,
                "description": "When it ends by itself. Default: with the token that"
                " makes it, which it cannot outlive.",
            },
        },
    },
}
