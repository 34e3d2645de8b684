"""Descriptions of configuration, connectors and health (contract §§7-9)."""

from flux_project.openapi.parts import answer, body, operation, ref

_CONFIG = {
    "rate_limit_enabled": True,
    "rate_limit_per_namespace_per_minute": 10_000,
    "body_size_limit_single_bytes": 1_048_576,
    "body_size_limit_batch_bytes": 10_485_760,
}

READ_CONFIG = operation(
    "readConfig",
    tag="Service",
    text=("Read the runtime configuration", "Open to everyone."),
    answers={
        "200": answer("What is in force.", ref("Config"), example=_CONFIG),
    },
)

CHANGE_CONFIG = operation(
    "changeConfig",
    tag="Service",
    text=(
        "Change the runtime configuration",
        "Any part of it; in force in every server process within a second. Nothing of"
        " a refused change is kept. Needs the server's `FLUX_ADMIN_TOKEN`.",
    ),
    security=[{"adminToken": []}],
    requestBody=body(
        ref("ConfigChange"),
        description="The settings to change; the others stay.",
        examples={
            "limit": (
                "Bodies of single events up to 2 MiB",
                {"body_size_limit_single_bytes": 2_097_152},
            )
        },
    ),
    answers={
        "200": answer("The whole configuration.", ref("Config"), example=_CONFIG),
    },
    errors={
        "401": "The admin token is missing or wrong.",
        "403": "The server has no admin token, or the page's origin may not use it.",
        "429": "Too many tokens from this address were no good.",
    },
)

LIST_CONNECTORS = operation(
    "listConnectors",
    tag="Service",
    text=(
        "List connectors",
        "The kinds of producers that Flux can run itself. In auth mode a token is not"
        " needed, but one that is sent must be usable.",
    ),
    security=[{}, {"namespaceToken": []}],
    answers={
        "200": answer(
            "The connectors.",
            {
                "type": "object",
                "required": ["connectors"],
                "properties": {
                    "connectors": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["name", "enabled", "status", "type"],
                            "properties": {
                                "name": {"type": "string"},
                                "enabled": {"type": "boolean"},
                                "status": {
                                    "enum": ["configured", "not_configured", "error"]
                                },
                                "type": {"type": "string"},
                            },
                        },
                    }
                },
            },
            example={
                "connectors": [
                    {
                        "name": "rss",
                        "enabled": False,
                        "status": "not_configured",
                        "type": "poll",
                    }
                ]
            },
        )
    },
    errors={
        "401": "Auth mode: the token is unknown, revoked or expired.",
        "429": "Auth mode: too many tokens from this address were no good.",
    },
)

HEALTH = operation(
    "health",
    tag="Service",
    text=("Check the server", "Whether it can do its work."),
    answers={
        "200": answer(
            "It can.",
            {
                "type": "object",
                "required": ["status", "version", "seq", "entities"],
                "properties": {
                    "status": {"const": "ok"},
                    "version": {"type": "string"},
                    "seq": {"type": "integer", "minimum": 0},
                    "entities": {"type": "integer", "minimum": 0},
                },
            },
            example={"status": "ok", "version": "0.1.0", "seq": 17, "entities": 3},
        )
    },
    errors={"503": "The database does not answer, or the live feed does not keep up."},
)
