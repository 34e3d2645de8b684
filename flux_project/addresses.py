"""What people type to reach this server, for pages and for the one who starts it."""

from django.conf import settings
from django.http import HttpRequest

EVERYWHERE = {"0.0.0.0", "::", "127.0.0.1", "::1"}  # noqa: S104  compared, not bound


def of(request: HttpRequest) -> str:
    """FLUX_PUBLIC_URL; without one, the address by which this request came."""
    return settings.FLUX_PUBLIC_URL or request.build_absolute_uri("/").rstrip("/")


def here() -> str:
    """FLUX_PUBLIC_URL; without one, what to type on this machine."""
    if settings.FLUX_PUBLIC_URL:
        return str(settings.FLUX_PUBLIC_URL)
    host = settings.FLUX_HOST
    if host in EVERYWHERE:
        host = "localhost"
    elif ":" in host:
        host = f"[{host}]"
    return f"http://{host}:{settings.PORT}"
