"""The admin's first page: how Flux is, at a glance.

Invariant: it is answered within some seconds, whatever does not answer it; what could
not be learnt is said to be unknown.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.http import HttpRequest

from events import tempo
from events.tempo import Tempo
from flux_project import charts, pipeline, pool
from flux_project.errors import Unavailable
from flux_project.pipeline import Call, Statement
from namespaces import trail
from state import feed, glance
from state.glance import Glance

# Each of the three questions to the database, and the wait for a connection.
PATIENCE_SECONDS = 1.5
ENTRIES = 6
_SHOWN_SUSPENDED = 5

_TENANTS: Call = (
    Statement.from_file(Path(__file__).parent / "sql" / "dashboard.sql"),
    (),
)


def fill(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """django-unfold's hook: what the template shows, as far as who asks may see it."""
    user = request.user
    seen = _seen(shows_audit=user.has_perm("namespaces.view_auditentry"))
    if not user.has_perm("events.view_event"):
        seen = {}
    return context | {"is_open": not settings.FLUX_AUTH_ENABLED} | seen


def _seen(*, shows_audit: bool) -> dict[str, Any]:
    now = glance.take()
    found: dict[str, Any] = {"glance": now, "feed": _feed(now, None)}
    try:
        with pool.connection(wait_seconds=PATIENCE_SECONDS) as connection:
            calls = [tempo.ASK, _TENANTS]
            answers = pipeline.run(connection, calls, seconds=PATIENCE_SECONDS)
            read = tempo.read(answers[0])
            rows = pipeline.rows(
                answers[1], pipeline.text, pipeline.text, pipeline.int8
            )
            if shows_audit:
                found["entries"] = trail.newest(connection, limit=ENTRIES)
    except (Unavailable, psycopg.Error):
        return found | {"is_slow": True}
    return found | _tempo(read) | _tenants(rows) | {"feed": _feed(now, read)}


def _tempo(read: Tempo) -> dict[str, Any]:
    points = [
        (f"{datetime.fromtimestamp(at, tz=UTC):%H:%M}", events)
        for at, events in read.minutes
    ]
    return {"tempo": read, "minutes": charts.chart(points, unit="events")}


def _tenants(rows: list[tuple[str, str, int]]) -> dict[str, Any]:
    kinds: dict[str, list[tuple[str, int]]] = {}
    for kind, name, number in rows:
        kinds.setdefault(kind, []).append((name, number))
    suspended = [name for name, _ in kinds.get("suspended", [])]
    top = kinds.get("top", [])
    return {
        "top": charts.shares(top),
        "refused": kinds.get("refused", []),
        "suspended": suspended[:_SHOWN_SUSPENDED],
        "more_suspended": len(suspended) > _SHOWN_SUSPENDED,
        "namespaces": kinds["namespaces"][0][1],
        "entities": kinds["entities"][0][1],
    } | _purchases(kinds)


def _purchases(kinds: dict[str, list[tuple[str, int]]]) -> dict[str, Any]:
    """Those that somebody should look at."""
    reason, since = next(iter(kinds.get("stuck_since", [])), ("", 0))
    return {
        "stuck": kinds["stuck"][0][1],
        "stuck_since": datetime.fromtimestamp(since, tz=UTC),
        "stuck_because": reason,
        "troubled": kinds["troubled"][0][1],
        "unhandled": kinds["unhandled"][0][1],
        "failing": kinds.get("failing", []),
    }


def _feed(now: Glance | None, read: Tempo | None) -> dict[str, Any]:
    """How far behind the log the listeners are; behind: None when it is not known."""
    try:
        feed.check()
    except feed.FeedUnavailable:
        is_late = True
    else:
        is_late = False
    behind = None
    if now is not None and read is not None and now.position >= 0:
        behind = max(0, read.head - now.position)
    return {"is_late": is_late, "behind": behind}
