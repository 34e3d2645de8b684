"""The audit log: who changed what, when and from where (docs/operations.md).

Invariant: an entry commits with the change it tells of, or neither does; entries are
never changed, and never hold a secret: who makes one says which fields it names.
"""

import getpass
import json
from collections.abc import Mapping
from typing import Any, Literal

from django.db import connection
from msgspec import Struct

Channel = Literal["admin", "api", "command", "shop", "account"]
Fields = Mapping[str, Any]

MAX_ADDRESS_CHARACTERS = 100


class Actor(Struct, frozen=True):
    """Who does something: name, by which way, from which address ("" when local)."""

    name: str
    channel: Channel
    address: str = ""


def admin_token(address: str) -> Actor:
    """Whoever has the server's admin token."""
    return Actor("admin token", "api", address)


def anyone(address: str) -> Actor:
    """Who registers where registration is open."""
    return Actor("anyone", "api", address)


def token(token_id: str, address: str) -> Actor:
    """The holder of a namespace's token."""
    return Actor(f"token {token_id}", "api", address)


def purchase(purchase_id: str, address: str = "") -> Actor:
    """A purchase that goes its way, or whoever has its claim secret."""
    return Actor(f"purchase {purchase_id}", "shop", address)


def owner(email: str, address: str) -> Actor:
    """Who is signed in at /account."""
    return Actor(f"owner {email}", "account", address)


def shell() -> Actor:
    """Who runs a management command on this machine."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"  # a container's user may have no name
    return Actor(name, "command")


def record(
    actor: Actor,
    action: str,
    target: str,
    *,
    before: Fields | None = None,
    after: Fields | None = None,
) -> None:
    """Adds an entry, in the caller's transaction on Django's connection.

    action: `<what>.<verb>`, such as `token.revoke`.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO namespaces_auditentry"
            " (actor, channel, address, action, target, before, after)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (
                actor.name,
                actor.channel,
                actor.address[:MAX_ADDRESS_CHARACTERS],
                action,
                target,
                _json(before),
                _json(after),
            ),
        )


def _json(fields: Fields | None) -> str | None:
    return None if fields is None else json.dumps(fields, default=str)
