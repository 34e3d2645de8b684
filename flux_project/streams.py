"""Long answers: JSON arrays sent piece by piece, at constant memory.

Invariant: no connection is held while a client is being written to. Each piece is read
by a statement of its own; the next one is read while the last one is on its way.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from urllib.parse import urlencode

from django.http import HttpResponse, StreamingHttpResponse
from rest_framework.request import Request

from flux_project import pool

Piece = bytes


def read(work: Callable[..., bytes], *arguments: object) -> bytes:
    """Runs `work(connection, *arguments)` on a pooled connection."""
    with pool.connection() as connection:
        return work(connection, *arguments)


def array(pieces: Iterator[Piece], *, link: str | None = None) -> HttpResponse:
    """A JSON array of pieces, each some comma-separated members.

    The first two pieces are read before anything is sent, so that a fault then is still
    an error answer, and a short array is one write with its length.
    """
    first = next(pieces, b"")
    second = next(pieces, None) if first else None
    if second is None:
        response: HttpResponse | StreamingHttpResponse = HttpResponse(
            b"[" + first + b"]", content_type="application/json"
        )
        response["Content-Length"] = str(len(first) + 2)
    else:
        response = StreamingHttpResponse(
            _stream(first, second, pieces), content_type="application/json"
        )
    if link is not None:
        response["Link"] = link
    return response  # type: ignore[return-value]  # DRF takes both


async def _stream(
    first: Piece, second: Piece, rest: Iterator[Piece]
) -> AsyncIterator[bytes]:
    ahead = asyncio.create_task(asyncio.to_thread(next, rest, None))
    yield b"[" + first
    yield b"," + second
    try:
        while (piece := await ahead) is not None:
            ahead = asyncio.create_task(asyncio.to_thread(next, rest, None))
            yield b"," + piece
    finally:
        ahead.cancel()
    yield b"]"


def next_link(request: Request, **changes: object) -> str | None:
    """The Link header to the next page: this address with `changes`; None for none."""
    if None in changes.values():
        return None
    query = {
        **request.GET.dict(),
        **{key: str(value) for key, value in changes.items()},
    }
    host = request.META.get("HTTP_HOST", "")
    origin = f"{request.scheme}://{host}" if host else ""
    return f'<{origin}{request.path}?{urlencode(query)}>; rel="next"'
