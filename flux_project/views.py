"""Health and metrics, and the first page a person sees.

Health is joined here: what it says of the database and of the live feed.
"""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flux_project import addresses, api, health, metrics, openapi, pool
from flux_project.errors import Unavailable
from flux_project.reply import ok
from namespaces import access
from state import feed

SCRIPT = settings.BASE_DIR / "skills" / "flux" / "scripts" / "flux.sh"


class MetricsViewSet(api.Endpoint):
    """What Prometheus reads; it needs no database."""

    @extend_schema(exclude=True)
    def retrieve(self, request: Request) -> HttpResponse:
        authorization = request.headers.get("Authorization")
        access.require_metrics(authorization, token=settings.FLUX_METRICS_TOKEN)
        text, content_type = metrics.exposition(request.headers.get("Accept", ""))
        return HttpResponse(text, content_type=content_type)


class HealthViewSet(api.Endpoint):
    """Whether this server can do its work."""

    @extend_schema(**openapi.HEALTH)
    def retrieve(self, request: Request) -> HttpResponse:
        """Check the server's health; 503 when the database or the feed is away."""
        with pool.connection() as connection:
            vitals = health.measure(connection)
        feed.check()
        return api.respond(
            ok(
                {
                    "status": "ok",
                    "version": settings.FLUX_VERSION,
                    "seq": vitals.seq,
                    "entities": vitals.entities,
                }
            )
        )


@require_safe
def script(request: HttpRequest) -> HttpResponse:
    """`GET /flux.sh`: the skill's script, for who has no copy of the project."""
    return HttpResponse(SCRIPT.read_bytes(), content_type="text/plain; charset=utf-8")


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """`GET /`: what this is, how it is, and where to go on."""
    context: dict[str, object] = {
        "base_url": addresses.of(request),
        "version": settings.FLUX_VERSION,
        "needs_token": settings.FLUX_AUTH_ENABLED,
        "place": "dawn-coral" if settings.FLUX_AUTH_ENABLED else "home",
    }
    try:
        with pool.connection() as connection:
            vitals = health.measure(connection)
    except Unavailable:
        return _unwell(request, context | {"is_down": True})
    context |= {
        "events": f"{vitals.seq:,}",
        "entities": f"{vitals.entities:,}",
        "is_empty": vitals.seq == 0,
    }
    try:
        feed.check()
    except Unavailable:
        return _unwell(request, context | {"is_late": True})
    return render(request, "home.html", context)


def _unwell(request: HttpRequest, context: dict[str, object]) -> HttpResponse:
    response = render(request, "home.html", context, status=503)
    response.headers["Retry-After"] = response.headers["Refresh"] = "10"
    return response
