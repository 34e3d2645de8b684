"""Admin pages of our own that change something: who may come in, and what goes wrong.

Invariant: no page is reached without its permission, nor by a method that is not its
own. What is not found is a 404, a database that does not answer a page that says so.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.db.models import Model
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from msgspec import Struct

from flux_project.errors import FluxError, NotFound, Unavailable
from namespaces import audit

if TYPE_CHECKING:
    Base = ModelAdmin[Model]
else:
    Base = ModelAdmin

RETRY_SECONDS = 10
View = Callable[..., HttpResponse]


class Page(Struct, frozen=True):
    """view: the method that answers. name: of its address. permission: who may come in.
    changes: whether it takes a POST."""

    route: str
    view: str
    name: str
    permission: str
    changes: bool = False


class AwayMiddleware:
    """Says of the database that it is away where Django itself needs it, as for who is
    logged in: any page of the admin, in place of a 500. It asks the database nothing.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._get_response(request)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponse | None:
        is_away = isinstance(exception, OperationalError | InterfaceError | Unavailable)
        if not is_away or not request.path.startswith("/admin/"):
            return None
        answer = HttpResponse(render_to_string("503.html"), status=503)
        return _come_back(request, answer)


class PagesAdmin(Base):
    """A model's pages; a subclass lists them all, and Django's own are gone."""

    pages: ClassVar[Sequence[Page]]

    def get_urls(self) -> list[URLPattern]:
        prefix = f"{self.opts.app_label}_{self.opts.model_name}"
        return [
            path(one.route, self._guarded(one), name=f"{prefix}_{one.name}")
            for one in self.pages
        ]

    def _guarded(self, page: Page) -> View:
        view: View = getattr(self, page.view)
        methods = ["GET", "HEAD", *(["POST"] if page.changes else [])]

        @wraps(view)
        def inner(request: HttpRequest, **given: str) -> HttpResponse:
            if request.method not in methods:
                return HttpResponseNotAllowed(methods)
            if not request.user.has_perm(page.permission):
                raise PermissionDenied
            try:
                return view(request, **given)
            except NotFound as error:
                raise Http404(error.message) from None
            except (Unavailable, OperationalError, InterfaceError):
                return self._unwell(request)

        return self.admin_site.admin_view(inner)

    def _unwell(self, request: HttpRequest) -> HttpResponse:
        answer = self.page(
            request, "browse/unwell.html", title="Not available now", status=503
        )
        return _come_back(request, answer)

    def page(
        self,
        request: HttpRequest,
        template: str,
        *,
        title: str,
        status: int = 200,
        **found: Any,
    ) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "given": request.GET,
            **found,
        }
        return TemplateResponse(request, template, context, status=status)


def _come_back(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    answer["Retry-After"] = str(RETRY_SECONDS)
    if request.method != "POST":
        answer["Refresh"] = str(RETRY_SECONDS)
    return answer


def actor(request: HttpRequest) -> audit.Actor:
    """Who does something in the admin, as the audit log has it."""
    address = str(request.META.get("REMOTE_ADDR") or "")
    return audit.Actor(f"user {request.user.get_username()}", "admin", address)


def refused(form: Form, error: FluxError) -> None:
    """Shows a refusal at its field, or above the form."""
    form.add_error(error.field if error.field in form.fields else None, error.message)


def done(request: HttpRequest, message: str, where: str) -> HttpResponse:
    """On to another page, which says what was done. No secret goes this way: messages
    lie in a cookie."""
    messages.success(request, message)
    return redirect(where)
