"""The id of a request: in its answer, in the log, in the sentence of a 500.

Invariant: an id is 1 to 64 letters, digits, dots, dashes and underscores, whoever made
it, so it can stand anywhere.
"""

import re
import secrets
from contextlib import AbstractContextManager

from structlog import contextvars

HEADER = b"x-request-id"

_GIVEN = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_KEY = "request_id"


def choose(given: bytes | None = None) -> str:
    """The id that the client's header gives, if it is one; else a new one."""
    if given is not None and _GIVEN.fullmatch(given):
        return given.decode()
    return secrets.token_hex(8)


def bound(request_id: str) -> AbstractContextManager[None]:
    """Inside of it, threads included, each line of the log carries the id."""
    return contextvars.bound_contextvars(**{_KEY: request_id})


def current() -> str | None:
    """The id of the request being answered; None where several are, or none."""
    found: str | None = contextvars.get_contextvars().get(_KEY)
    return found
