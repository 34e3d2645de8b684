"""When guessing at passwords ends in a lock-out: what the settings say of it."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

LOCKED_MINUTES = 15
MOST_PER_ACCOUNT = 5
MOST_PER_ADDRESS = 50
# What django-axes counts by; `flux_project.lockout` relies on this order.
COUNTED_BY: list[str | list[str]] = [["username", "ip_address"], "ip_address"]
_MOST_NAME_CHARACTERS = 255  # of django-axes' column; an account's has 150


def username(request: HttpRequest, credentials: Mapping[str, Any] | None) -> str:
    """Whom somebody tries to log in as."""
    given = (credentials or request.POST).get("username") or ""
    return str(given)[:_MOST_NAME_CHARACTERS]


def address(request: HttpRequest) -> str | None:
    """Where a request comes from: the other end of its connection, as the server sees
    it. Headers say what a client likes."""
    return request.META.get("REMOTE_ADDR") or None
