"""Who asks: the grant of a token, or why there is none (contract §0).

Invariant: deny by default, and no answer repeats a token. What a grant is good for is
decided by `namespaces.grants` alone.
"""

from django.conf import settings

from namespaces import access, tokens
from namespaces.access import TokenRequired, UnusableToken, bearer
from namespaces.grants import Grant
from namespaces.registry import registry
from namespaces.throttle import failures


def known(authorization: str | None) -> Grant | None:
    """The grant of a header, if this process knows it; asks no database."""
    text = bearer(authorization)
    return None if text is None else known_token(text)


def known_token(text: str) -> Grant | None:
    """The same for a token by itself."""
    return registry.known(text.encode()) if text.isascii() else None


def authenticate(authorization: str | None, *, address: str) -> Grant:
    """The grant of a header, known here or to the database.

    address: where it came from, for the throttle of those that fail. Raises
    Unauthenticated, TooManyFailures, Unavailable.
    """
    text = bearer(authorization)
    if text is None:
        raise TokenRequired
    return authenticate_token(text, address=address)


def confirmed(authorization: str | None, *, address: str) -> Grant:
    """The same, a second old at most: for a yes that no write stands behind."""
    grant = authenticate(authorization, address=address)
    registry.confirm()
    now = registry.current(grant)
    if now is None:
        raise UnusableToken
    return now


def authenticate_token(text: str, *, address: str) -> Grant:
    """The same for a token by itself."""
    grant = known_token(text)
    if grant is None:
        failures.check(address)
        if tokens.is_well_formed(text):
            grant = registry.find(text.encode())
    if grant is None:
        failures.count(address)
        raise UnusableToken
    return grant


def require_admin(authorization: str | None, *, address: str) -> None:
    """Raises AdminDisabled, AdminTokenRequired or TooManyFailures."""
    if not is_admin(authorization, address=address):
        # Which of the two it is, the parser and the compare say.
        access.require_admin(authorization, admin_token=settings.FLUX_ADMIN_TOKEN)


def is_admin(authorization: str | None, *, address: str) -> bool:
    """Whether the header carries the server's admin token, if it has one.

    An operator may have chosen one that can be guessed, so who has failed too often is
    not even compared. A namespace's token is no guess. Raises TooManyFailures.
    """
    token, text = settings.FLUX_ADMIN_TOKEN, bearer(authorization)
    if not token or text is None or tokens.is_well_formed(text):
        return False
    failures.check(address)
    if access.carries(authorization, token):
        return True
    failures.count(address)
    return False
