"""The glue between endpoint functions and Django REST framework.

Invariant: under /api every answer is JSON, and every error has the one shape (§0),
whoever raises it: Flux, DRF, Django or a bug.
"""

from collections.abc import Callable
from typing import Any, ClassVar, cast

from django.conf import settings
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from rest_framework import exceptions
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.viewsets import ViewSet

from events import committer
from events.endpoints import limited
from flux_project import bugs, pool, request_ids
from flux_project.errors import (
    FluxError,
    Forbidden,
    InternalError,
    Invalid,
    MethodNotAllowed,
    NotFound,
)
from flux_project.reply import Read, Reply, Write, refusal
from namespaces import authentication
from namespaces.grants import Grant
from state import reader


class UnknownRoute(NotFound):
    """There is nothing at this address."""

    code = "unknown_route"


class Malformed(Invalid):
    """Django refused this request as malformed."""


class NotAcceptable(FluxError):
    """This address has no answer of a type that the header Accept names."""

    status = 406
    code = "not_acceptable"


class AnyContent(BaseContentNegotiation):
    """Everything is JSON here, whatever Accept or Content-Type say (§0)."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser:
        return cast(BaseParser, parsers[0])

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class Endpoint(ViewSet):
    """The base of Flux's viewsets: its handlers return what `answer` makes."""

    content_negotiation_class = AnyContent
    # The actions that need a namespace's token in auth mode.
    writes: ClassVar[frozenset[str]] = frozenset()
    # Its grant; None in open mode.
    grant: Grant | None = None

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        super().initial(request, *args, **kwargs)
        # A method that is not taken goes before a missing token, and that before what
        # is wrong with the body (§0).
        if settings.FLUX_AUTH_ENABLED and self.action in self.writes:
            self.grant = _grant(request)
        error = _scope(request).get("flux.body_error") if self.action else None
        if error is not None:
            raise error

    def options(  # type: ignore[override]  # what DRF's own handlers may answer too
        self, request: Request, *args: object, **kwargs: object
    ) -> HttpResponse:
        return respond(Reply(204, b"", (("Allow", ", ".join(self.allowed_methods)),)))


def address(request: Request) -> str:
    """Where a request comes from."""
    return str(request.META.get("REMOTE_ADDR") or "")


def _grant(request: Request) -> Grant:
    """Whose token it has; the gate has looked, where there is a body to be read."""
    found = _scope(request).get("flux.grant")
    if isinstance(found, FluxError):
        raise found
    if found is not None:
        return cast(Grant, found)
    header = request.headers.get("Authorization")
    return authentication.authenticate(header, address=address(request))


def _scope(request: Request) -> dict[str, Any]:
    return getattr(request._request, "scope", {})


def body(request: Request) -> bytes:
    """The request's body, which the gate read and bounded."""
    found = _scope(request).get("flux.body")
    return request._request.body if found is None else found


def answer(result: Reply | Write | Read) -> HttpResponse:
    """Does what an endpoint function asks for, waiting with everyone else's."""
    if isinstance(result, Write):
        outcomes = committer.call(result.commands, size=result.size)
        result = result.render(outcomes)
    elif isinstance(result, Read):
        result = _read(result)
    return respond(result)


def _read(asked: Read) -> Reply:
    try:
        with pool.connection() as connection:
            return asked.render(reader.find(connection, asked.entity_id))
    except FluxError as error:
        return asked.render(error)


def respond(reply: Reply) -> HttpResponse:
    content_type = "application/json"
    response = HttpResponse(reply.body, status=reply.status, content_type=content_type)
    for name, value in reply.headers:
        response[name] = value
    if reply.status in {204, 304}:
        del response["Content-Type"]
    else:
        response["Content-Length"] = str(len(reply.body))
    return response


def handle_exception(error: Exception, context: dict[str, Any]) -> HttpResponse:
    """DRF's hook: the answer to what a view raised."""
    if isinstance(error, FluxError):
        return respond(limited(refusal(error), getattr(context["view"], "grant", None)))
    if isinstance(error, exceptions.MethodNotAllowed):
        response = respond(refusal(MethodNotAllowed()))
        response["Allow"] = ", ".join(context["view"].allowed_methods)
        return response
    if isinstance(error, Http404 | exceptions.NotFound):
        return respond(refusal(UnknownRoute()))
    if isinstance(error, PermissionDenied | exceptions.PermissionDenied):
        return respond(refusal(Forbidden()))
    if isinstance(error, SuspiciousOperation):
        return respond(refusal(Malformed()))
    if isinstance(error, exceptions.NotAcceptable):
        return respond(refusal(NotAcceptable()))
    return respond(refusal(bugs.of_request(error)))


_PAGES: dict[int, type[FluxError]] = {
    400: Malformed,
    403: Forbidden,
    404: UnknownRoute,
    405: MethodNotAllowed,
}


def without_pages(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Django's middleware: no error under /api is a page.

    With DEBUG Django asks none of the hooks below, and of what it refuses by itself
    (400, 403) it makes a page in any case.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if response.status_code < 400 or not request.path.startswith("/api"):
            return response
        is_json = response.get("Content-Type", "").startswith("application/json")
        return response if is_json else _instead_of(response)

    return middleware


def _instead_of(page: HttpResponseBase) -> HttpResponse:
    """What the page was about; its own headers, but for those of the page, go on."""
    known = _PAGES.get(page.status_code)
    # A bug's traceback is in the log: Django wrote it under the request's id.
    error = known() if known else InternalError(request_ids.current() or "unknown")
    response = respond(refusal(error))
    for name, value in page.items():
        response.headers.setdefault(name, value)
    return response


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's hook for unknown addresses: JSON under /api, a page elsewhere."""
    if request.path.startswith("/api"):
        return respond(refusal(UnknownRoute()))
    return render(request, "404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's hook for bugs outside of DRF."""
    error = bugs.of_request()
    if request.path.startswith("/api"):
        return respond(refusal(error))
    return render(request, "500.html", {"message": error.message}, status=500)
