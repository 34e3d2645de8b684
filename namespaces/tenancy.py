"""Tenants and their tokens: each function one transaction, with its audit entry.

Invariant: a change of what the registry holds takes a version first, and tells all
processes when it commits; a token's text is in no row, no log and no error, and leaves
only by the answer of the function that made it.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import (
    IntegrityError,
    InterfaceError,
    OperationalError,
    connection,
    transaction,
)
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from msgspec import Struct

from flux_project.database import LOG_LOCK_KEY, DatabaseUnavailable
from flux_project.errors import Conflict, NotFound, RateLimited
from namespaces import audit, config, grants, names, registry, tokens
from namespaces.access import UnusableToken
from namespaces.audit import Actor
from namespaces.grants import ALL_SCOPES, Grant, Scope
from namespaces.models import AuditEntry, Namespace, RuntimeConfig, Secret, Token
from namespaces.requests import Rotation, TokenWanted
from namespaces.throttle import bucket_of

ID_CHARACTERS = 8
MOST_TOKENS = 1_000
FIRST_LABEL = "first token"
HOUR_SECONDS = 3_600

_LIMIT_WAITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '5s'"
_TAKE_VERSION = (Path(__file__).parent / "sql" / "take_version.sql").read_text()


class NamespaceNotFound(NotFound):
    """There is no such namespace."""

    code = "namespace_not_found"


class TokenNotFound(NotFound):
    """This namespace has no such token."""

    code = "token_not_found"


class NameTaken(Conflict):
    """This name is taken, or was once; names are never given again."""

    code = "name_taken"


class TooManyTokens(Conflict):
    """A namespace has at most 1,000 tokens; revoke some."""

    code = "too_many_tokens"


class TokenEnded(Conflict):
    """This token was revoked or has expired: make a new one."""

    code = "token_ended"


class TooManyRegistrations(RateLimited):
    """Too many namespaces were registered from this address; try again later."""

    code = "too_many_registrations"


class Registered(Struct, frozen=True):
    """A new namespace, and its first token's text, which nobody can see again."""

    namespace: Namespace
    token: Token
    text: str


class Made(Struct, frozen=True):
    """A token, and its text, which nobody can see again."""

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
        with _available():
            _throttle(actor.address)
            if Namespace.objects.filter(name=name).exists():
                raise NameTaken(field="name")
    with _change() as version:
        if is_open:
            _throttle(actor.address)
        try:
            with transaction.atomic():
                namespace = Namespace.objects.create(
                    id=f"ns_{tokens.random_text(ID_CHARACTERS)}",
                    name=name,
                    version=version,
                )
        except IntegrityError:
            raise NameTaken(field="name") from None
        namespace.refresh_from_db()
        made = _make(
            namespace, TokenWanted(label=FIRST_LABEL, scopes=ALL_SCOPES), version
        )
        audit.record(
            actor,
            "namespace.create",
            name,
            after={
                "id": namespace.id,
                "token": made.token.id,
                **({"network": bucket_of(actor.address)} if is_open else {}),
            },
        )
    return Registered(namespace, made.token, made.text)


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


def find(name: str) -> Namespace:
    """A namespace that was not deleted. Raises NamespaceNotFound."""
    with _available():
        found = _namespaces(name).first()
    if found is None:
        raise NamespaceNotFound
    return found


def suspend(name: str, actor: Actor, *, because: str = "") -> Namespace:
    """Nobody writes to it from now on; it stays readable. Again changes nothing."""
    with _change() as version:
        namespace = _locked(name)
        if namespace.suspended_at is None:
            namespace.suspended_at = timezone.now()
            namespace.suspended_because = because
            namespace.version = version
            namespace.save()
            fields = {"suspended": True, "because": because}
            audit.record(
                actor,
                "namespace.suspend",
                name,
                before={"suspended": False},
                after=fields,
            )
    return namespace


def resume(name: str, actor: Actor) -> Namespace:
    """Ends a suspension. Without one nothing changes."""
    with _change() as version:
        namespace = _locked(name)
        if namespace.suspended_at is not None:
            before = {"suspended": True, "because": namespace.suspended_because}
            namespace.suspended_at, namespace.suspended_because = None, ""
            namespace.version = version
            namespace.save()
            audit.record(
                actor,
                "namespace.resume",
                name,
                before=before,
                after={"suspended": False},
            )
    return namespace


def delete(name: str, actor: Actor) -> Namespace:
    """Its tokens die at once; what it wrote stays readable, its name stays taken."""
    with _change() as version:
        namespace = _locked(name)
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


def token_list(name: str) -> Sequence[Token]:
    """All tokens a namespace ever had, the oldest first. Raises NamespaceNotFound."""
    with _available():
        return list(_tokens(find(name)))


def _tokens(namespace: Namespace) -> QuerySet[Token]:
    return Token.objects.filter(namespace=namespace).order_by("created_at", "id")


def make_token(
    name: str, wanted: TokenWanted, actor: Actor, *, maker: Grant | None = None
) -> Made:
    """A new token. maker: the token it is made with; None for an operator.

    Raises NamespaceNotFound, Forbidden, Invalid, TooManyTokens.
    """
    with _change() as version:
        namespace = _locked(name)
        if maker is not None:
            wanted = _bounded(wanted, _now(maker))
        if Token.objects.filter(namespace=namespace, revoked_at=None).count() >= (
            MOST_TOKENS
        ):
            raise TooManyTokens
        made = _make(namespace, wanted, version)
        audit.record(
            actor, "token.create", _target(made.token), after=_described(made.token)
        )
    return made


def _bounded(wanted: TokenWanted, maker: Grant) -> TokenWanted:
    """What was left open is as its maker's; what was asked for may not be more."""
    starts = wanted.prefix or (
        None if maker.starts == f"{maker.namespace}/" else maker.starts
    )
    until = wanted.until
    if until is None and maker.until != math.inf:
        until = datetime.fromtimestamp(maker.until, tz=timezone.get_current_timezone())
    refused = grants.may_grant(
        maker,
        starts=starts or f"{maker.namespace}/",
        scopes=wanted.scopes,
        until=_seconds(until),
    )
    if refused is not None:
        raise refused
    return TokenWanted(wanted.label, wanted.scopes, starts, until)


def _make(namespace: Namespace, wanted: TokenWanted, version: int) -> Made:
    token = Token(
        id=tokens.new_id(),
        namespace=namespace,
        label=wanted.label,
        scopes=[str(scope) for scope in wanted.scopes],
        prefix=None if wanted.prefix == f"{namespace.name}/" else wanted.prefix,
        expires_at=wanted.until,
        version=version,
    )
    token.save(force_insert=True)
    token.refresh_from_db()
    return Made(token, _new_secret(token))


def _new_secret(token: Token) -> str:
    issued = tokens.issue(token.id)
    Secret.objects.create(digest=issued.digest, token=token)
    return issued.text


def rotate(
    name: str,
    token_id: str,
    wanted: Rotation,
    actor: Actor,
    *,
    maker: Grant | None = None,
) -> Made:
    """A new secret for a token; those before work on until the overlap ends.

    Raises NamespaceNotFound, TokenNotFound, TokenEnded, Forbidden.
    """
    with _change() as version:
        token = _locked_token(_locked(name), token_id)
        if maker is not None:
            _check_maker(_now(maker), token)
        now = timezone.now()
        if token.revoked_at or (token.expires_at and token.expires_at <= now):
            raise TokenEnded
        _end_secrets(token, after_seconds=wanted.overlap_seconds)
        token.version = version
        token.save(update_fields=["version"])
        text = _new_secret(token)
        audit.record(
            actor,
            "token.rotate",
            _target(token),
            after={"overlap_seconds": wanted.overlap_seconds},
        )
    return Made(token, text)


def _end_secrets(token: Token, *, after_seconds: int) -> None:
    """None works for longer; those that end at once are gone, whatever clocks say."""
    now = timezone.now()
    ends = now + timedelta(seconds=after_seconds)
    older = Secret.objects.filter(token=token)
    if after_seconds:
        older.filter(valid_until__lt=now).delete()
        older.filter(Q(valid_until=None) | Q(valid_until__gt=ends)).update(
            valid_until=ends
        )
    else:
        older.delete()


def _check_maker(maker: Grant, token: Token) -> None:
    """Who has the secret of a token has its rights: they must be the maker's too."""
    refused = grants.may_grant(
        maker,
        starts=token.prefix or f"{maker.namespace}/",
        scopes=[Scope(scope) for scope in token.scopes],
        until=_seconds(token.expires_at),
    )
    if refused is not None:
        raise refused


def revoke(
    name: str, token_id: str, actor: Actor, *, maker: Grant | None = None
) -> None:
    """The token is refused everywhere from now on. Again changes nothing.

    Raises NamespaceNotFound, TokenNotFound, Forbidden.
    """
    with _change() as version:
        namespace = _locked(name)
        token = _locked_token(namespace, token_id)
        if maker is not None:
            starts = token.prefix or f"{name}/"
            now = _now(maker)
            refused = grants.refusal(now, Scope.TOKENS, starts, is_kept=True)
            if refused is not None:
                raise refused
        if token.revoked_at is None:
            token.revoked_at = timezone.now()
            token.version = version
            token.save(update_fields=["revoked_at", "version"])
            audit.record(
                actor,
                "token.revoke",
                _target(token),
                before=_described(token),
                after={"revoked": True},
            )


def change_config(wanted: dict[str, Any], actor: Actor) -> config.Config:
    """Puts values of the runtime config in force, checked by `config.checked`.

    The audit entry has those that changed.
    """
    with _transaction():
        stored = RuntimeConfig.objects.select_for_update().get()
        before = {name: getattr(stored, name) for name in wanted}
        changed = {
            name: wanted[name] for name in wanted if wanted[name] != before[name]
        }
        for name, value in changed.items():
            setattr(stored, name, value)
        if changed:
            stored.save(update_fields=list(changed))
            audit.record(
                actor,
                "config.change",
                "runtime config",
                before={name: before[name] for name in changed},
                after=changed,
            )
            _tell_all()
    return config.take(stored)


@contextmanager
def _change() -> Iterator[int]:
    """A transaction that changes what the registry holds; gives its version.

    The version's row is locked until it ends, so changes come one after the other. The
    log's lock is taken last, for the commit alone: a write that did not see the change
    is in the log before this ends, and none comes behind. (Writers lock no row that is
    locked here, and a rebuild takes the two in the same order: nobody waits in a
    circle.)
    """
    with _transaction():
        with connection.cursor() as cursor:
            cursor.execute(_TAKE_VERSION)
            row = cursor.fetchone()
        yield row[0]
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOG_LOCK_KEY,))
        _tell_all()


@contextmanager
def _transaction() -> Iterator[None]:
    """One that waits for nobody for long, and is over when its function returns.

    Raises DatabaseUnavailable.
    """
    with _available(), transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute(_LIMIT_WAITS)
        yield


@contextmanager
def _available() -> Iterator[None]:
    """Raises DatabaseUnavailable for what Django says when it cannot ask."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise DatabaseUnavailable from error


def _now(maker: Grant) -> Grant:
    """What a token is good for in this transaction, which no other change overtakes.

    Raises UnusableToken.
    """
    secret = (
        Secret.objects.select_related("token__namespace")
        .filter(
            Q(valid_until=None) | Q(valid_until__gt=Now()),
            Q(token__expires_at=None) | Q(token__expires_at__gt=Now()),
            digest=maker.digest,
            token__revoked_at=None,
            token__namespace__deleted_at=None,
        )
        .first()
    )
    if secret is None:
        raise UnusableToken
    token = secret.token
    return Grant(
        token.id,
        maker.digest,
        token.namespace.name,
        token.prefix,
        grants.held(tuple(token.scopes)),
        token.namespace.suspended_at is not None,
        min(_seconds(token.expires_at), _seconds(secret.valid_until)),
    )


def _seconds(at: datetime | None) -> float:
    """Since 1970; of what never ends, infinity."""
    return math.inf if at is None else at.timestamp()


def _tell_all() -> None:
    """Wakes all processes when the transaction commits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", (registry.CHANNEL,))


def _locked(name: str) -> Namespace:
    found = _namespaces(name).select_for_update().first()
    if found is None:
        raise NamespaceNotFound
    return found


def _namespaces(name: str) -> QuerySet[Namespace]:
    """The one of this name that was not deleted, if there is one."""
    if "\0" in name:  # PostgreSQL takes none, not even to compare with
        return Namespace.objects.none()
    return Namespace.objects.filter(name=name, deleted_at=None)


def _locked_token(namespace: Namespace, token_id: str) -> Token:
    found = None
    if "\0" not in token_id:
        rows = Token.objects.select_for_update()
        found = rows.filter(namespace=namespace, id=token_id).first()
    if found is None:
        raise TokenNotFound
    return found


def _target(token: Token) -> str:
    return f"{token.namespace.name}/{token.id}"


def _described(token: Token) -> dict[str, Any]:
    """What the audit log says of a token."""
    return {
        "label": token.label,
        "scopes": token.scopes,
        "prefix": token.prefix,
        "expires": token.expires_at,
    }
