"""The one tree of errors. Invariant: the edges know the families here, nothing else.

A module subclasses a family beside the code that raises it. `code` is part of the
wire contract (§0) and never changes; the docstring is the default message.
"""

from typing import ClassVar


class FluxError(Exception):
    """Something went wrong."""

    # A batch may have a hundred thousand: 275 bytes each, not 430.
    __slots__ = ("field", "index", "message", "retry_after")
    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: str | None = None,
        *,
        field: str | None = None,
        index: int | None = None,
        retry_after: int | None = None,
    ) -> None:
        self.message = message or " ".join((type(self).__doc__ or "").split())
        self.field = field
        self.index = index
        self.retry_after = retry_after
        super().__init__(self.message)


class InternalError(FluxError):
    """Something went wrong here."""

    def __init__(self, reference: str) -> None:
        self.reference = reference
        super().__init__(f"Something went wrong here; reference {reference}.")


class Invalid(FluxError):
    """The request is malformed."""

    status = 400
    code = "invalid"


class Unauthenticated(FluxError):
    """This needs a token."""

    status = 401
    code = "unauthenticated"


class Forbidden(FluxError):
    """This token may not do that."""

    status = 403
    code = "forbidden"


class NotFound(FluxError):
    """There is no such thing."""

    status = 404
    code = "not_found"


class MethodNotAllowed(FluxError):
    """This address does not take that method."""

    status = 405
    code = "method_not_allowed"


class Conflict(FluxError):
    """This is taken."""

    status = 409
    code = "conflict"


class TooLarge(FluxError):
    """This is too large."""

    status = 413
    code = "payload_too_large"


class RateLimited(FluxError):
    """Too many requests."""

    status = 429
    code = "rate_limited"


class Unavailable(FluxError):
    """Flux cannot answer this now; try again."""

    status = 503
    code = "unavailable"

    def __init__(self, message: str | None = None, *, retry_after: int = 1) -> None:
        super().__init__(message, retry_after=retry_after)
