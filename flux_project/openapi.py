"""What drf-spectacular is told about each operation (filled in by the API's schema)."""

PUBLISH: dict[str, object] = {}
PUBLISH_BATCH: dict[str, object] = {}
HISTORY: dict[str, object] = {}
LIST_ENTITIES: dict[str, object] = {}
GET_ENTITY: dict[str, object] = {}
DELETE_ENTITY: dict[str, object] = {}
DELETE_MATCHING: dict[str, object] = {}
READ_CONFIG: dict[str, object] = {}
CHANGE_CONFIG: dict[str, object] = {}
LIST_CONNECTORS: dict[str, object] = {}
HEALTH: dict[str, object] = {}
