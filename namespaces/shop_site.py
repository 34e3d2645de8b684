"""What all pages of the shop and of accounts have in common.

Invariant: an error is a page that says what it is, with its own status, and never a
trace; what such a page shows is kept by no cache and told to no other site.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers

from flux_project import selling
from flux_project.errors import FluxError, Unavailable
from namespaces.views import OpenMode

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]

_HEADINGS = {
    400: "That does not work",
    403: "Not allowed",
    404: "Nothing here",
    409: "Not possible now",
}
RETRY_SECONDS = 10


def page(*methods: str) -> Callable[[View[P]], View[P]]:
    """A page for browsers that takes these methods, in auth mode alone."""

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def inner(
            request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs
        ) -> HttpResponse:
            allowed = [*methods, "HEAD"] if "GET" in methods else [*methods]
            if request.method not in allowed:
                return HttpResponseNotAllowed(allowed)
            try:
                if not settings.FLUX_AUTH_ENABLED:
                    raise OpenMode
                answer = view(request, *args, **kwargs)
            except (Unavailable, OperationalError, InterfaceError) as error:
                answer = _unwell(request, error)
            except FluxError as error:
                answer = said(request, error)
            add_never_cache_headers(answer)
            answer["Referrer-Policy"] = "same-origin"
            return answer

        # By method, as the views of the API say which they take.
        actions = dict.fromkeys(map(str.lower, methods), view.__name__)
        vars(inner)["actions"] = actions
        return inner

    return decorate


def said(request: HttpRequest, error: FluxError) -> HttpResponse:
    """An error as a page."""
    context: dict[str, Any] = {
        "status": error.status,
        "heading": _HEADINGS.get(error.status, "Not now"),
        "message": error.message,
    }
    answer = render(request, "shop/said.html", context, status=error.status)
    if error.retry_after is not None:
        answer["Retry-After"] = str(error.retry_after)
    return answer


def _unwell(request: HttpRequest, error: Exception) -> HttpResponse:
    """The database, or a payment provider, is away."""
    message = error.message if isinstance(error, FluxError) else ""
    answer = render(request, "shop/unwell.html", {"message": message}, status=503)
    answer["Retry-After"] = str(RETRY_SECONDS)
    if request.method != "POST":
        answer["Refresh"] = str(RETRY_SECONDS)
    return answer


def navigation(request: HttpRequest) -> dict[str, bool]:
    """Django's context processor: what the navigation of every page leads to."""
    is_auth = settings.FLUX_AUTH_ENABLED
    return {
        "has_accounts": is_auth,
        "has_shop": is_auth and settings.FLUX_BILLING != selling.OFF,
    }


def address(request: HttpRequest) -> str:
    """Where a request comes from."""
    return str(request.META.get("REMOTE_ADDR") or "")
