"""Addresses that are wrong: ids in paths, parameters, methods, routes (§§0, 3)."""

from tests.api.cases.case import Case

_ENTITY = "/api/state/entities/"
_NO_ID = {
    "a slash first": "/x",
    "an encoded slash first": "%2Fx",
    "a dot": ".",
    "two dots": "..",
    "two encoded dots": "%2e%2E",
    "NUL": "%00",
    "a line break": "a%0A",
    "DEL": "%7F",
    "a C1 control": "%C2%85",
    "513 characters": "x" * 513,
}
_NO_UTF8 = {"a lone byte": "%FF", "a surrogate": "%ED%A0%80", "a cut form": "a%E2%82"}
IDS = [
    Case(f"{method} {name}", method, _ENTITY + path, None, 400, code, at)
    for method in ("GET", "DELETE")
    for table, code, at in (
        (_NO_ID, "invalid_entity_id", "entity_id"),
        (_NO_UTF8, "invalid_path", None),
    )
    for name, path in table.items()
] + [
    Case("GET of nothing", "GET", _ENTITY + "bad/none", None, 404, "entity_not_found"),
    Case(
        "DELETE of nothing",
        "DELETE",
        _ENTITY + "bad/none",
        None,
        404,
        "entity_not_found",
    ),
    Case(
        "DELETE of the directory",
        "DELETE",
        _ENTITY + "flux-core/directory",
        None,
        403,
        "reserved_namespace",
    ),
]

_HISTORY = [
    *[("limit", v) for v in ("0", "501", "-1", "1.5", "x", "", "1e2", "%D9%A1", "+1")],
    *[("before", v) for v in ("0", "-1", "x", "", "9223372036854775808", "9" * 30)],
    *[
        (name, value)
        for name in ("since", "until")
        for value in (
            "",
            "now",
            "2026-01-31",
            "2026-01-31T08:00:00",
            "2026-02-30T08:00:00Z",
            "2026-01-31T25:00:00Z",
            "2026-01-31T08:00:00%2B25:00",
            "0000-01-01T00:00:00Z",
            "1748768400000",
            "2026-01-31T08:00:00Z%0A",
        )
    ],
    *[(name, "") for name in ("stream", "source", "namespace")],
    *[(name, "%00") for name in ("stream", "source", "namespace")],
    *[(name, "x" * 513) for name in ("stream", "source", "namespace")],
]
_LIST = [
    *[("limit", v) for v in ("0", "10001", "-1", "1.5", "x", "", "9" * 30)],
    ("namespace", ""),
    ("namespace", "%00"),
    ("prefix", "%00"),
    ("prefix", "x" * 513),
    ("cursor", "YQ"),
]
PARAMETERS = (
    [
        Case(
            f"{path}?{name}={value[:20]}",
            "GET",
            f"{path}?{name}={value}",
            None,
            400,
            "invalid_parameter",
            name,
        )
        for path, table in (("/api/events", _HISTORY), ("/api/state/entities", _LIST))
        for name, value in table
    ]
    + [
        Case(
            f"cursor {cursor}",
            "GET",
            f"/api/state/entities?limit=1&cursor={cursor}",
            None,
            400,
            "invalid_parameter",
            "cursor",
        )
        for cursor in ("!", "a", "%C3%A9", "Lw", "AA", "gICA")
    ]
    + [
        Case(
            f"entity={value[:9]}",
            "GET",
            f"/api/events?entity={value}",
            None,
            400,
            "invalid_entity_id",
            "entity",
        )
        for value in ("", "/x", ".", "..", "%00", "x" * 513)
    ]
    + [
        Case(
            f"a query that is not UTF-8 at {path}",
            "GET",
            path + "?namespace=%FF",
            None,
            400,
            "invalid_parameter",
        )
        for path in ("/api/events", "/api/state/entities")
    ]
    + [
        Case(
            "1,200 parameters",
            "GET",
            "/api/events?" + "&".join(["a"] * 1200),
            None,
            400,
            "invalid",
        )
    ]
)

_TAKEN = {
    "/api/events": {"GET", "POST"},
    "/api/events/batch": {"POST"},
    "/api/state/entities": {"GET"},
    "/api/state/entities/bad%2Fx": {"GET", "DELETE"},
    "/api/state/entities/delete": {"GET", "POST", "DELETE"},
    "/api/connectors": {"GET"},
    "/api/admin/config": {"GET", "PUT"},
    "/api/health": {"GET"},
    "/api/schema": {"GET"},
    "/api/docs": {"GET"},
}
METHODS = [
    Case(f"{method} {path}", method, path, None, 405, "method_not_allowed")
    for path, taken in _TAKEN.items()
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH")
    if method not in taken
]

ROUTES = [
    Case(f"{method} {path}", method, path, None, 404, "unknown_route")
    for method in ("GET", "POST", "DELETE")
    for path in (
        "/api",
        "/api/",
        "/api/nothing",
        "/api/events/",
        "/api/events/batch/",
        "/api/state",
        "/api/state/entities/",
        "/api/health/",
        "/api/v1/events",
        "/api/../etc/passwd",
    )
]
