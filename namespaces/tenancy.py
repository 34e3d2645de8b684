"""Namespaces: registered, suspended, deleted. Each function one transaction, with its
audit entry.

Invariant: a name is given once; a deleted namespace keeps it.
"""

import math
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone
from msgspec import Struct

from flux_project.errors import Conflict, RateLimited
from namespaces import audit, change, config, issuing, names, rows, tokens
from namespaces.audit import Actor
from namespaces.models import AuditEntry, Namespace, Owner, Token
from namespaces.throttle import bucket_of

ID_CHARACTERS = 8
HOUR_SECONDS = 3_600


class NameTaken(Conflict):
    """This name is taken, or was once; names are never given again."""

    code = "name_taken"


class TooManyRegistrations(RateLimited):
    """Too many namespaces were registered from this address; try again later."""

    code = "too_many_registrations"


class Registered(Struct, frozen=True):
    """A new namespace, and its first token's text, which nobody can see again."""

    namespace: Namespace
    token: Token
    text: str


def register(name: object, actor: Actor, *, is_open: bool = False) -> Registered:
    """Makes a namespace and its first token, which has all scopes and no expiry.

    is_open: by anyone, so throttled by address. Raises InvalidName, NameTaken,
    TooManyRegistrations.
    """
    name = names.checked_name(name)
    if is_open:
        # Without the version's row: whoever comes in vain holds up nobody.
        with change.available():
            _throttle(actor.address)
            if Namespace.objects.filter(name=name).exists():
                raise NameTaken(field="name")
    with change.of_registry() as version:
        if is_open:
            _throttle(actor.address)
        namespace = made(name, version)
        first = issuing.first(namespace, version)
        audit.record(
            actor,
            "namespace.create",
            name,
            after={
                "id": namespace.id,
                "token": first.token.id,
                **({"network": bucket_of(actor.address)} if is_open else {}),
            },
        )
    return Registered(namespace, first.token, first.text)


def made(name: str, version: int, *, owner: Owner | None = None) -> Namespace:
    """The row of a new namespace, in its maker's transaction. Raises NameTaken."""
    try:
        with transaction.atomic():
            namespace = Namespace.objects.create(
                id=f"ns_{tokens.random_text(ID_CHARACTERS)}",
                name=name,
                version=version,
                owner=owner,
            )
    except IntegrityError:
        raise NameTaken(field="name") from None
    namespace.refresh_from_db()
    return namespace


def _throttle(address: str) -> None:
    """Counts in the audit log, one registration at a time, so exactly."""
    most = config.current().registrations_per_address_per_hour
    since = timezone.now() - timedelta(seconds=HOUR_SECONDS)
    recent = AuditEntry.objects.filter(
        action="namespace.create", at__gt=since, after__network=bucket_of(address)
    ).order_by("at")
    found = recent[: most + 1]
    if len(found) >= most:
        oldest = found[len(found) - most].at
        wait = (oldest - since).total_seconds()
        raise TooManyRegistrations(retry_after=max(1, math.ceil(wait)))


def suspend(name: str, actor: Actor, *, because: str = "") -> Namespace:
    """Nobody writes to it from now on; it stays readable. Again changes nothing."""
    with change.of_registry() as version:
        namespace = rows.locked(name)
        end_writing(namespace, version, actor, because=because)
    return namespace


def end_writing(
    namespace: Namespace,
    version: int,
    actor: Actor,
    *,
    because: str,
    is_above_others: bool = False,
) -> None:
    """The same for a locked row, in the caller's transaction.

    is_above_others: this reason takes the place of one that it has already.
    """
    was = namespace.suspended_at
    if was is not None and (
        not is_above_others or namespace.suspended_because == because
    ):
        return
    before = namespace.suspended_because
    namespace.suspended_at = was or timezone.now()
    namespace.suspended_because = because
    namespace.version = version
    namespace.save()
    audit.record(
        actor,
        "namespace.suspend",
        namespace.name,
        before={"suspended": was is not None, **({"because": before} if was else {})},
        after={"suspended": True, "because": because},
    )


def resume(name: str, actor: Actor) -> Namespace:
    """Ends a suspension. Without one nothing changes."""
    with change.of_registry() as version:
        namespace = rows.locked(name)
        allow_writing(namespace, version, actor)
    return namespace


def allow_writing(namespace: Namespace, version: int, actor: Actor) -> None:
    """The same for a locked row, in the caller's transaction."""
    if namespace.suspended_at is None:
        return
    before = {"suspended": True, "because": namespace.suspended_because}
    namespace.suspended_at, namespace.suspended_because = None, ""
    namespace.version = version
    namespace.save()
    audit.record(
        actor,
        "namespace.resume",
        namespace.name,
        before=before,
        after={"suspended": False},
    )


def delete(name: str, actor: Actor, *, owner: Owner | None = None) -> Namespace:
    """Its tokens die at once; what it wrote stays readable, its name stays taken.

    owner: who does it, if it is theirs; None for an operator. Raises NamespaceNotFound.
    """
    with change.of_registry() as version:
        namespace = rows.locked(name)
        if owner is not None:
            rows.check_owner(namespace, owner)
        namespace.deleted_at = timezone.now()
        namespace.version = version
        namespace.save()
        audit.record(
            actor,
            "namespace.delete",
            name,
            before={"id": namespace.id},
            after={"deleted": True},
        )
    return namespace
