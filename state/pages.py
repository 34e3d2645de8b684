"""Pages for people that look at the state; static/live/ makes the live one live.

Invariant: a page is served without the database, which its scripts ask when they can.
"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from flux_project import addresses


@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """`GET /live`: changes as they happen. Its parameters are read by its script."""
    return render(request, "live.html", {"base_url": addresses.of(request)})
