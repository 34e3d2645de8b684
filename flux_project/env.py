"""Typed readers of the environment. Invariant: a bad value stops the start, by name."""

import os
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

_TRUE = {"true", "1", "yes"}
_FALSE = {"false", "0", "no"}


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, default)


def boolean(name: str, *, default: bool) -> bool:
    """`true|1|yes` or `false|0|no`, any case; anything else refuses to start."""
    raw = os.environ.get(name, "").strip().lower()
    if not raw:
        return default
    if raw in _TRUE:
        return True
    if raw in _FALSE:
        return False
    message = f"{name} must be true or false (also 1, 0, yes, no), not {raw!r}."
    raise ImproperlyConfigured(message)


def integer(name: str, *, default: int, low: int, high: int) -> int:
    raw = os.environ.get(name, "").strip()
    if not raw:
        return default
    try:
        value = int(raw)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        message = f"{name} must be a whole number from {low} to {high}, not {raw!r}."
        raise ImproperlyConfigured(message)
    return value


def names(name: str) -> list[str]:
    """A comma-separated list; blanks are dropped."""
    return [part.strip() for part in text(name).split(",") if part.strip()]


def database(url: str) -> dict[str, object]:
    """`postgresql://user:password@host:port/name` as Django's settings for it."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"} or len(parts.path) <= 1:
        message = "DATABASE_URL must look like postgresql://user:password@host:5432/name."
        raise ImproperlyConfigured(message)
    query = dict(
        pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair
    )
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path[1:]),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(query.get("host", "")) or unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
    }
