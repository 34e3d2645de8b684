"""What the log says of requests that were refused.

Invariant: no line holds anything of a request but its id, method and path, so no token
and nothing of a body can get into the log; and however many requests are refused, the
lines a second are bounded.
"""

import string
import time
from urllib.parse import quote

import msgspec
import structlog
from msgspec import Struct

MOST_PATH_CHARACTERS = 200
# Writing a line takes some 50 us: a server that is overloaded must not drown in them.
MOST_LINES_A_SECOND = 50

logger = structlog.get_logger(__name__)


class _Coded(Struct):
    code: str | None = None


_decode = msgspec.json.Decoder(_Coded).decode


class Allowance:
    """So many a second; what is beyond that is counted."""

    def __init__(self, a_second: int) -> None:
        self._a_second = a_second
        self._since = 0.0
        self._left = 0
        self._beyond = 0

    def take(self, now: float) -> int | None:
        """How many were beyond it since the last one; None: this one is, too."""
        if now - self._since >= 1:
            self._since, self._left = now, self._a_second
        if not self._left:
            self._beyond += 1
            return None
        self._left -= 1
        beyond, self._beyond = self._beyond, 0
        return beyond


_allowance = Allowance(MOST_LINES_A_SECOND)


def note(
    status: int, body: bytes, *, request_id: str, method: str, path: bytes
) -> None:
    """A line for an answer from 400 on: what the server could not do is a warning.

    body: the answer's, which has the code. path: as it was sent, without the query;
    what may not stand in one is shown percent-encoded.
    """
    tell = logger.debug
    more: dict[str, int] = {}
    if status >= 500:
        beyond = _allowance.take(time.monotonic())
        if beyond is None:
            return
        tell = logger.warning
        if beyond:
            more["lines_left_out"] = beyond
    tell(
        "refused",
        request_id=request_id,
        status=status,
        code=_code(body),
        method=method,
        path=quote(path, safe=string.punctuation)[:MOST_PATH_CHARACTERS],
        **more,
    )


def _code(body: bytes) -> str | None:
    """None where the answer has not the shape of errors, such as a page."""
    try:
        return _decode(body).code
    except msgspec.DecodeError:
        return None
