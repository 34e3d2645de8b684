"""What every request passes first: host, origin, path and size of its body.

A plain ASGI middleware, so that a body is bounded before Django spools it, and its
check of hosts and origins covers every route alike, the handshakes of WebSockets
included. Invariant: what is refused here was not read further than necessary, and its
answer has the one shape of errors.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes

from django.conf import settings

from flux_project import bodies
from flux_project.errors import FluxError, Invalid
from flux_project.origins import Policy
from flux_project.reply import Reply, refusal
from namespaces import authentication
from namespaces.grants import Grant

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_METHODS = b"GET, POST, PUT, DELETE, OPTIONS"
_REQUEST_HEADERS = b"authorization, content-type, if-none-match, last-event-id"
_EXPOSED = b"link, etag, retry-after, ratelimit, ratelimit-policy"
_PREFLIGHT_SECONDS = b"86400"


class RepeatedHost(Invalid):
    """The request has more than one Host header."""

    code = "invalid_http"


class PathNotUtf8(Invalid):
    """The path is not UTF-8."""

    code = "invalid_path"


class QueryNotUtf8(Invalid):
    """The query of the address is not UTF-8."""

    code = "invalid_parameter"


class ClientLeft(Exception):
    """The client went away before its body was complete."""


def policy() -> Policy:
    """The hosts and origins that the settings allow."""
    return Policy(
        is_open_mode=not settings.FLUX_AUTH_ENABLED,
        origins=tuple(settings.FLUX_ALLOWED_ORIGINS),
        hosts=tuple(settings.FLUX_ALLOWED_HOSTS),
    )


class Gate:
    """Wraps an ASGI application for HTTP and WebSockets."""

    def __init__(self, inner: Application) -> None:
        self.inner = inner
        self.policy = policy()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._serve_socket(scope, receive, send)
            return
        try:
            cors = self._admit(scope)
        except FluxError as error:
            await send_reply(send, refusal(error))
            return
        if cors:
            if _is_preflight(scope):
                await send_reply(send, Reply(204, b""), [*cors, *_PREFLIGHT])
                return
            send = _with_headers(send, cors)
        try:
            _check_address(scope)
        except FluxError as error:
            await send_reply(send, refusal(error))
            return
        await self._serve(scope, receive, send)

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._admit(scope)
            _check_address(scope)
        except FluxError as error:
            await refuse_socket(scope, send, error)
            return
        await self.inner(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = 0
        try:
            await _authenticate(scope)
            scope["flux.body"], size = await _read(scope, receive)
        except FluxError as error:
            # Where routes and methods go first (contract §0), Django decides which of
            # the errors is answered: its views raise this one.
            scope["flux.body"], scope["flux.body_error"] = b"", error
        except ClientLeft:
            return
        is_refused = "flux.body_error" in scope
        replay = _replay(scope["flux.body"], receive, is_refused=is_refused)
        try:
            await self.inner(scope, replay, send)
        finally:
            bodies.budget.give(size)

    def _admit(self, scope: Scope) -> Headers:
        """The CORS headers of the answer; raises for what is refused outright."""
        headers = scope["headers"]
        if sum(name == b"host" for name, _ in headers) > 1:
            raise RepeatedHost
        host = _header(headers, b"host")
        self.policy.check_host(host)
        origin = _header(headers, b"origin")
        cors: Headers = []
        if origin is not None:
            allowed = self.policy.check_origin(origin, host)
            cors = [
                (b"access-control-allow-origin", allowed.encode("latin-1")),
                (b"access-control-expose-headers", _EXPOSED),
                (b"vary", b"Origin"),
            ]
        return cors


def _check_address(scope: Scope) -> None:
    if not _is_utf8(scope.get("raw_path") or scope["path"].encode()):
        raise PathNotUtf8
    if not _is_utf8(scope.get("query_string", b"")):
        raise QueryNotUtf8


def _is_utf8(quoted: bytes) -> bool:
    try:
        unquote_to_bytes(quoted).decode()
    except UnicodeDecodeError:
        return False
    return True


_PREFLIGHT: Headers = [
    (b"access-control-allow-methods", _METHODS),
    (b"access-control-allow-headers", _REQUEST_HEADERS),
    (b"access-control-max-age", _PREFLIGHT_SECONDS),
]


def _is_preflight(scope: Scope) -> bool:
    wanted = _header(scope["headers"], b"access-control-request-method")
    return scope["method"] == "OPTIONS" and wanted is not None


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    for key, value in headers:
        if key == name:
            return value.decode("latin-1")
    return None


async def _authenticate(scope: Scope) -> None:
    """Whose body this is, before any of it is read: in auth mode nobody else's large
    one is. Django decides whether the token or the route is answered first (§0)."""
    needs_token = scope["method"] == "POST" and scope["path"] in bodies.WRITE_PATHS
    if not (needs_token and settings.FLUX_AUTH_ENABLED):
        return
    header = authorization(scope)
    found: Grant | FluxError | None = authentication.known(header)
    if found is None:
        try:
            # A look at the database, or a refusal.
            found = await asyncio.to_thread(
                authentication.authenticate, header, address=address(scope)
            )
        except FluxError as error:
            scope["flux.grant"] = error
            raise
    scope["flux.grant"] = found


def authorization(scope: Scope) -> str | None:
    """The header Authorization; None also where it is repeated: which one is meant?"""
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    return given[0].decode("latin-1") if len(given) == 1 else None


def address(scope: Scope) -> str:
    """Where a connection comes from; "" for one of the file system."""
    return str((scope.get("client") or ("",))[0])


async def _read(scope: Scope, receive: Receive) -> tuple[bytes, int]:
    """The whole body, and the bytes that the budget granted for it."""
    limit = bodies.limit_for(scope["path"])
    announced = _header(scope["headers"], b"content-length") or ""
    if announced.isdecimal() and int(announced) > limit:
        raise bodies.too_large(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(bodies.READ_SECONDS):
            async for chunk in _chunks(receive):
                if size + len(chunk) > limit:
                    raise bodies.too_large(limit)
                bodies.budget.take(len(chunk))
                size += len(chunk)
                chunks.append(chunk)
    except BaseException as error:
        bodies.budget.give(size)
        if isinstance(error, TimeoutError):
            raise bodies.BodyTimeout from None
        raise
    return b"".join(chunks), size


async def _chunks(receive: Receive) -> Any:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


def _replay(body: bytes, receive: Receive, *, is_refused: bool) -> Receive:
    """Gives Django the body that was read, and then nothing but the disconnect.

    Of a refused body no more is asked for: asking would tell a client that sent
    `Expect: 100-continue` to go on. The server throws away what still comes.
    """
    pending: list[Message] = [
        {"type": "http.request", "body": body, "more_body": False}
    ]

    async def replay() -> Message:
        if pending:
            return pending.pop()
        if is_refused:
            await asyncio.Event().wait()
        while (message := await receive())["type"] == "http.request":
            pass
        return message

    return replay


def _with_headers(send: Send, headers: Headers) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *headers]}
        await send(message)

    return wrapped


async def send_reply(send: Send, reply: Reply, headers: Headers | None = None) -> None:
    """Sends a finished reply over ASGI."""
    start = {
        "type": "http.response.start",
        "status": reply.status,
        "headers": [*_own_headers(reply), *(headers or ())],
    }
    await send(start)
    await send({"type": "http.response.body", "body": reply.body})


def _own_headers(reply: Reply) -> Headers:
    own = [(name.lower().encode(), value.encode()) for name, value in reply.headers]
    if reply.body:
        own.append((b"content-type", b"application/json"))
    if reply.status != 204:
        own.append((b"content-length", b"%d" % len(reply.body)))
    return own


async def refuse_socket(scope: Scope, send: Send, error: FluxError) -> None:
    """Answers a handshake with an HTTP error; a bare 403 where the server cannot."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    reply = refusal(error)
    start = {
        "type": "websocket.http.response.start",
        "status": reply.status,
        "headers": _own_headers(reply),
    }
    await send(start)
    await send({"type": "websocket.http.response.body", "body": reply.body})
