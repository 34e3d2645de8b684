"""Who guesses passwords is locked out for a while (django-axes).

Failures of the last LOCKED_MINUTES count, per account and address together, so that
nobody is locked out of an account by strangers, and per address, whatever accounts it
tries. Invariant: during a lock-out no password is looked at, and it is not prolonged.
"""

import math
from datetime import timedelta
from typing import Any

import structlog
from axes.handlers.database import AxesDatabaseHandler
from django.contrib import admin
from django.db.models import Max, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from flux_project.lockout_limits import (
    LOCKED_MINUTES,
    MOST_PER_ACCOUNT,
    MOST_PER_ADDRESS,
    address,
)

logger = structlog.get_logger(__name__)
Credentials = dict[str, Any] | None


class Handler(AxesDatabaseHandler):  # type: ignore[misc]  # django-axes has no types
    """django-axes knows one limit for all that it counts by; there are two here."""

    def get_failures(
        self, request: HttpRequest, credentials: Credentials = None
    ) -> int:
        """Failures, in units of the limit of an account and address."""
        counts = [
            attempts.aggregate(found=Sum("failures_since_start"))["found"] or 0
            for attempts in self.get_user_attempts(request, credentials)
        ]
        of_account, of_address = counts
        return max(of_account, of_address * MOST_PER_ACCOUNT // MOST_PER_ADDRESS)

    def reset_user_attempts(
        self, request: HttpRequest, credentials: Credentials = None
    ) -> int:
        """A success forgives the failures of its account, not those of its address:
        who has an account must not get more guesses at others by it."""
        of_account, _ = self.filter_user_attempts(request, credentials)
        deleted: int = of_account.delete()[0]
        return deleted

    def seconds_left(self, request: HttpRequest, credentials: Credentials) -> int:
        """Until when one who is locked out has to wait, at most."""
        newest = [
            attempts.aggregate(found=Max("attempt_time"))["found"]
            for attempts in self.get_user_attempts(request, credentials)
        ]
        last = max(filter(None, newest), default=timezone.now())
        left = last + timedelta(minutes=LOCKED_MINUTES) - timezone.now()
        return max(1, math.ceil(left.total_seconds()))


def page(
    request: HttpRequest, response: HttpResponse | None, credentials: Credentials
) -> HttpResponse:
    """django-axes' hook: what one who is locked out is shown."""
    seconds = Handler().seconds_left(request, credentials)
    minutes = math.ceil(seconds / 60)
    logger.warning("locked_out", address=address(request), minutes=minutes)
    context = admin.site.each_context(request) | {"minutes": minutes}
    answer = render(request, "admin/locked_out.html", context, status=429)
    answer["Retry-After"] = str(seconds)
    answer["Cache-Control"] = "no-store"
    return answer
