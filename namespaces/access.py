"""Bearer tokens: one parser and one compare for every endpoint (contract §0).

Invariant: deny by default; secrets are compared in constant time and never logged.
"""

import hmac

from flux_project.errors import Forbidden, Unauthenticated


class AdminDisabled(Forbidden):
    """This server has no FLUX_ADMIN_TOKEN, so nobody can administrate it over HTTP."""

    code = "admin_disabled"


class MetricsTokenRequired(Unauthenticated):
    """This needs the header Authorization: Bearer <the server's FLUX_METRICS_TOKEN>."""

    code = "metrics_token_required"


class AdminTokenRequired(Unauthenticated):
    """This needs the header Authorization: Bearer <the server's FLUX_ADMIN_TOKEN>."""

    code = "admin_token_required"


class TokenRequired(Unauthenticated):
    """This needs a namespace's token: the header Authorization: Bearer flux_…"""

    code = "token_required"


class UnusableToken(Unauthenticated):
    """This token is not usable: it is unknown, revoked or expired."""

    code = "invalid_token"


def bearer(authorization: str | None) -> str | None:
    """The token of an Authorization header; None when there is no usable one.

    The scheme is case-insensitive (RFC 7235 §2.1).
    """
    scheme, _, token = (authorization or "").strip().partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def require_admin(authorization: str | None, *, admin_token: str) -> None:
    """Raises unless the header carries the server's admin token."""
    if not admin_token:
        raise AdminDisabled
    if not carries(authorization, admin_token):
        raise AdminTokenRequired


def require_metrics(authorization: str | None, *, token: str) -> None:
    """Raises unless the header carries the token of metrics; without one all may."""
    if token and not carries(authorization, token):
        raise MetricsTokenRequired


def carries(authorization: str | None, token: str) -> bool:
    """Whether the header has this very token."""
    given = bearer(authorization) or ""
    return hmac.compare_digest(given.encode(), token.encode())
