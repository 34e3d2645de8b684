"""Tenants as JSON shows them: by the API's names, and never with a secret."""

from datetime import UTC, datetime

from namespaces.models import Namespace, Purchase, Token


def namespace(found: Namespace) -> dict[str, object]:
    """All that is known of a namespace, for its operator."""
    return {
        "namespaceId": found.id,
        "name": found.name,
        "createdAt": time(found.created_at),
        "suspendedAt": time(found.suspended_at),
        "suspendedBecause": found.suspended_because,
        "deletedAt": time(found.deleted_at),
    }


def token(found: Token) -> dict[str, object]:
    """A token as lists show it: all but its secret."""
    return {
        "id": found.id,
        "label": found.label,
        "scopes": found.scopes,
        "prefix": found.prefix,
        "createdAt": time(found.created_at),
        "expiresAt": time(found.expires_at),
        "lastUsedAt": time(found.last_used_at),
        "revokedAt": time(found.revoked_at),
    }


# What a program sees of a purchase's state: it waits while its namespace is made.
_STATES = {Purchase.State.PROVISIONED: Purchase.State.PAID}


def begun(found: Purchase) -> dict[str, object]:
    """A new purchase. checkout_url: None where there is nothing to pay."""
    return {
        "purchase_id": found.id,
        "checkout_url": found.checkout_url or None,
        "amount": found.amount,
        "currency": found.currency,
        "expires_at": time(found.expires_at),
    }


def purchase(found: Purchase) -> dict[str, object]:
    """How far a purchase is. namespace: its name, as soon as there is one."""
    state = Purchase.State(found.state)
    return {
        "status": str(_STATES.get(state, state)),
        "namespace": found.namespace.name if found.namespace else None,
        **begun(found),
    }


def time(at: datetime | None) -> str | None:
    """RFC 3339 in UTC (contract §0)."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
