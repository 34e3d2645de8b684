"""What is noted of every request on the ASGI path: its id, route, status and time.

Invariant: nothing of a request's query, headers or body is noted but the id.
"""

import time
from collections.abc import Callable
from urllib.parse import quote

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from flux_project import bugs, metrics, refusals, request_ids
from flux_project.errors import MethodNotAllowed
from flux_project.gate import (
    Application,
    Message,
    Receive,
    Scope,
    Send,
    refuse_socket,
    send_reply,
)
from flux_project.reply import refusal

# Where whatever answers a request says which route that is.
ROUTE = "flux.route"
_OTHER = "other"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
_STARTS = {
    "http.response.start",
    "websocket.accept",
    "websocket.http.response.start",
}


class Observed:
    """Wraps an ASGI application: all of its answers carry their request's id."""

    def __init__(self, inner: Application) -> None:
        self.inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope["headers"]).get(request_ids.HEADER)
        request = _Request(scope, request_ids.choose(given), receive, send)
        if scope["type"] != "http":
            # A socket lives long and publishes: an id bound here would get into lines
            # about work that others wait for too.
            await self._serve(scope, receive, request)
            return
        with request_ids.bound(request.id):
            await self._serve(scope, request.receive, request)

    async def _serve(self, scope: Scope, receive: Receive, request: "_Request") -> None:
        try:
            await self.inner(scope, receive, request.send)
        except Exception as error:
            if request.status:
                # Too late for an answer; the server logs it, when nothing is bound.
                error.add_note(f"request_id: {request.id}")
                raise
            with request_ids.bound(request.id):
                bug = bugs.of_request(error)
                if scope["type"] == "http":
                    await send_reply(request.send, refusal(bug))
                else:
                    await refuse_socket(scope, request.send, bug)


class _Request:
    def __init__(
        self, scope: Scope, request_id: str, receive: Receive, send: Send
    ) -> None:
        self.id = request_id
        self.status = 0
        self._scope = scope
        self._receive = receive
        self._send = send
        self._begun = time.perf_counter()
        self._is_told = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            # A client that sends its body slowly is not the server's time.
            self._begun = time.perf_counter()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] in _STARTS:
            header = (request_ids.HEADER, self.id.encode())
            message = {**message, "headers": [*message.get("headers", ()), header]}
            self.status = message.get("status", 101)
            self._count()
        elif self.status >= 400 and not self._is_told:
            self._is_told = True
            self._tell(message.get("body", b""))
        await self._send(message)

    def _count(self) -> None:
        route = self._scope.get(ROUTE, _OTHER)
        # What the route does not take is one: few series are for what is served.
        is_taken = self.status != MethodNotAllowed.status
        method = self._method() if is_taken else _OTHER
        seconds = time.perf_counter() - self._begun
        status = metrics.status_class(self.status)
        metrics.HTTP_REQUESTS.labels(route, method, status).inc()
        metrics.HTTP_SECONDS.labels(route, method).observe(seconds)

    def _tell(self, body: bytes) -> None:
        scope = self._scope
        path = scope.get("raw_path") or quote(scope["path"]).encode()
        refusals.note(
            self.status,
            body,
            request_id=self.id,
            method=self._method(),
            path=path,
        )

    def _method(self) -> str:
        """One of a few, as a client may send any."""
        method = self._scope.get("method", "GET")
        return method if method in _METHODS else _OTHER


def note_route(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Django's middleware: leaves the route that was found with the request's scope."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        match = request.resolver_match
        if match is not None and hasattr(request, "scope"):
            request.scope[ROUTE] = metrics.route(match.route)
        return response

    return middleware
