"""Descriptions of namespaces and their tokens (contract §6)."""

from flux_project.openapi.parts import Schema, answer, body, operation, ref

_NAME: Schema = {
    "in": "path",
    "name": "name",
    "required": True,
    "description": "The namespace's name.",
    "schema": {"type": "string", "pattern": "^[a-z0-9_-]{3,32}$"},
    "example": "dawn-coral",
}
_TOKEN_ID: Schema = {
    "in": "path",
    "name": "token_id",
    "required": True,
    "description": "The token's id, which is part of its text and no secret.",
    "schema": {"type": "string"},
    "example": "k3v9x2m4q1",
}
_TEXT = "flux_k3v9x2m4q1_4fJ0c…"
_REGISTERED = {"namespaceId": "ns_4k2m9x1q", "name": "dawn-coral", "token": _TEXT}
_TOKEN = {
    "id": "k3v9x2m4q1",
    "label": "kitchen sensor",
    "scopes": ["publish"],
    "prefix": "dawn-coral/kitchen/",
    "createdAt": "2026-06-01T09:00:00.000Z",
    "expiresAt": None,
    "lastUsedAt": "2026-06-01T09:05:00.000Z",
    "revokedAt": None,
}
_ADMIN: list[Schema] = [{"adminToken": []}]
_EITHER: list[Schema] = [{"adminToken": []}, {"namespaceToken": []}]
_OPEN_MODE = "There is no such namespace; in open mode there are none at all."
_NEITHER = "There is no such namespace or token; in open mode there are none at all."
_NOT_ADMIN = "The admin token is missing or wrong."
_NOT_USABLE = "No token, or one that is unknown, revoked or expired."
_NOT_YOURS = (
    "A page of this origin may not use the server; or the token is another namespace's"
    " or for another prefix, or lacks the scope `tokens`."
)
_NOT_YOURS_TO_GIVE = (
    f"{_NOT_YOURS[:-1]}, or has less than it is asked to give, or its namespace is"
    " suspended."
)
_FAILED = "Too many tokens from this address were no good."

REGISTER = operation(
    "registerNamespace",
    tag="Namespaces",
    text=(
        "Register a namespace",
        "Its first token is shown in this answer and never again: it has all scopes"
        " and no expiry. Names are never given twice. Needs the admin token, unless"
        " the server has `FLUX_OPEN_REGISTRATION=true`.",
    ),
    security=[*_ADMIN, {}],
    requestBody=body(
        {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string", "pattern": "^[a-z0-9_-]{3,32}$"}},
        },
        description="The name: 3 to 32 of a-z, 0-9, _ and -.",
        examples={"name": ("A namespace", {"name": "dawn-coral"})},
    ),
    answers={
        "200": answer("It is yours.", ref("Registered"), example=_REGISTERED),
    },
    errors={
        "401": _NOT_ADMIN,
        "403": "The server has no admin token, or the page's origin may not use it.",
        "404": "The server is in open mode.",
        "409": "The name is taken, or was once.",
        "429": "From this address, too many were registered or too many tokens failed.",
    },
)

READ_NAMESPACE = operation(
    "readNamespace",
    tag="Namespaces",
    text=("Read a namespace", "What is public of it; open to everyone."),
    parameters=[_NAME],
    answers={
        "200": answer(
            "The namespace.",
            ref("Namespace"),
            example={
                "namespaceId": "ns_4k2m9x1q",
                "name": "dawn-coral",
                "createdAt": "2026-06-01T09:00:00.000Z",
                "entityCount": 17,
            },
        ),
    },
    errors={"404": _OPEN_MODE},
)

DELETE_NAMESPACE = operation(
    "deleteNamespace",
    tag="Namespaces",
    text=(
        "Delete a namespace",
        "Its tokens end at once. Its entities and their history stay readable, and its"
        " name is never given again.",
    ),
    security=_ADMIN,
    parameters=[_NAME],
    answers={"204": {"description": "It is deleted."}},
    errors={
        "401": _NOT_ADMIN,
        "403": "The server has no admin token, or the page's origin may not use it.",
        "404": _OPEN_MODE,
        "429": _FAILED,
    },
)

LIST_TOKENS = operation(
    "listTokens",
    tag="Namespaces",
    text=("List tokens", "All that the namespace ever had; never their secrets."),
    security=_EITHER,
    parameters=[_NAME],
    answers={
        "200": answer(
            "The tokens, the oldest first.",
            {
                "type": "object",
                "required": ["tokens"],
                "properties": {"tokens": {"type": "array", "items": ref("Token")}},
            },
            example={"tokens": [_TOKEN]},
        ),
    },
    errors={
        "401": _NOT_USABLE,
        "403": _NOT_YOURS,
        "404": _OPEN_MODE,
        "429": _FAILED,
    },
)

MAKE_TOKEN = operation(
    "makeToken",
    tag="Namespaces",
    text=(
        "Make a token",
        "It is shown in this answer and never again. Without `scopes` it publishes and"
        " does nothing else; it never grants more than the token that makes it.",
    ),
    security=_EITHER,
    parameters=[_NAME],
    requestBody=body(
        ref("TokenWanted"),
        description="What to call it, and what it is to be good for.",
        examples={
            "sensor": (
                "One for a sensor, for a year",
                {
                    "label": "kitchen sensor",
                    "scopes": ["publish"],
                    "prefix": "dawn-coral/kitchen/",
                    "expires_in_seconds": 31_536_000,
                },
            )
        },
    ),
    answers={
        "201": answer(
            "It is made.", ref("MadeToken"), example={**_TOKEN, "token": _TEXT}
        ),
    },
    errors={
        "401": _NOT_USABLE,
        "403": _NOT_YOURS_TO_GIVE,
        "404": _OPEN_MODE,
        "409": "The namespace has 1,000 tokens already.",
        "429": _FAILED,
    },
)

ROTATE_TOKEN = operation(
    "rotateToken",
    tag="Namespaces",
    text=(
        "Rotate a token",
        "It gets a new secret, which is shown in this answer and never again; its id"
        " stays. Older secrets work for `overlap_seconds` more, by default not at all.",
    ),
    security=_EITHER,
    parameters=[_NAME, _TOKEN_ID],
    requestBody={
        **body(
            {
                "type": "object",
                "properties": {
                    "overlap_seconds": {
                        "type": ["integer", "null"],
                        "minimum": 0,
                        "maximum": 2_592_000,
                    }
                },
            },
            description="How long the old secret works beside the new one.",
            examples={
                "hour": ("An hour's time to change it", {"overlap_seconds": 3600})
            },
        ),
        "required": False,
    },
    answers={
        "200": answer(
            "It has a new secret.", ref("MadeToken"), example={**_TOKEN, "token": _TEXT}
        ),
    },
    errors={
        "401": _NOT_USABLE,
        "403": _NOT_YOURS_TO_GIVE,
        "404": _NEITHER,
        "409": "The token was revoked or has expired.",
        "429": _FAILED,
    },
)

REVOKE_TOKEN = operation(
    "revokeToken",
    tag="Namespaces",
    text=(
        "Revoke a token",
        "It is refused everywhere within a second, on open sockets too. Again changes"
        " nothing.",
    ),
    security=_EITHER,
    parameters=[_NAME, _TOKEN_ID],
    answers={"204": {"description": "It is revoked."}},
    errors={
        "401": _NOT_USABLE,
        "403": _NOT_YOURS,
        "404": _NEITHER,
        "429": _FAILED,
    },
)
