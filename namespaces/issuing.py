"""Tokens: made, rotated, revoked. Each function one transaction, with its audit entry.

Invariant: a token's text is in no row, no log and no error, and leaves only by the
answer of the function that made it; a token never grants more than its maker has.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from msgspec import Struct

from flux_project.errors import Conflict
from namespaces import audit, change, grants, rows, tokens
from namespaces.access import UnusableToken
from namespaces.audit import Actor
from namespaces.grants import ALL_SCOPES, Grant, NamespaceSuspended, Scope
from namespaces.models import Namespace, Owner, Secret, Token
from namespaces.requests import Rotation, TokenWanted

MOST_TOKENS = 1_000
FIRST_LABEL = "first token"

# Who has a token made: the holder of another, the namespace's owner; None: an operator.
Maker = Grant | Owner | None


class TooManyTokens(Conflict):
    """A namespace has at most 1,000 tokens; revoke some."""

    code = "too_many_tokens"


class TokenEnded(Conflict):
    """This token was revoked or has expired: make a new one."""

    code = "token_ended"


class Made(Struct, frozen=True):
    """A token, and its text, which nobody can see again."""

    token: Token
    text: str


def first(namespace: Namespace, version: int) -> Made:
    """The token of a registration, in its transaction: it has all scopes, for ever."""
    return _make(namespace, TokenWanted(label=FIRST_LABEL, scopes=ALL_SCOPES), version)


def replaced(old: Token, version: int) -> Made:
    """The same once more, in the caller's transaction: the one before is revoked."""
    old.revoked_at = timezone.now()
    old.version = version
    old.save(update_fields=["revoked_at", "version"])
    return first(old.namespace, version)


def listed(name: str) -> Sequence[Token]:
    """All tokens a namespace ever had, the oldest first. Raises NamespaceNotFound."""
    with change.available():
        return list(_tokens(rows.find(name)))


def _tokens(namespace: Namespace) -> QuerySet[Token]:
    return Token.objects.filter(namespace=namespace).order_by("created_at", "id")


def make(name: str, wanted: TokenWanted, actor: Actor, *, maker: Maker = None) -> Made:
    """A new token.

    Raises NamespaceNotFound, Forbidden, Invalid, TooManyTokens.
    """
    with change.of_registry() as version:
        namespace = rows.locked(name)
        if isinstance(maker, Owner):
            _check_owner(maker, namespace)
        elif maker is not None:
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


def _check_owner(owner: Owner, namespace: Namespace) -> None:
    """Whose it is, and whether they may make it write: not while it is suspended."""
    rows.check_owner(namespace, owner)
    if namespace.suspended_at is not None:
        because = namespace.suspended_because or "none was given."
        message = f"This namespace is suspended. Reason: {because}"
        raise NamespaceSuspended(message)


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
    maker: Maker = None,
) -> Made:
    """A new secret for a token; those before work on until the overlap ends.

    Raises NamespaceNotFound, TokenNotFound, TokenEnded, Forbidden.
    """
    with change.of_registry() as version:
        namespace = rows.locked(name)
        if isinstance(maker, Owner):
            _check_owner(maker, namespace)
        token = rows.locked_token(namespace, token_id)
        if isinstance(maker, Grant):
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


def revoke(name: str, token_id: str, actor: Actor, *, maker: Maker = None) -> None:
    """The token is refused everywhere from now on. Again changes nothing.

    Raises NamespaceNotFound, TokenNotFound, Forbidden.
    """
    with change.of_registry() as version:
        namespace = rows.locked(name)
        if isinstance(maker, Owner):
            rows.check_owner(namespace, maker)
        token = rows.locked_token(namespace, token_id)
        if isinstance(maker, Grant):
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
    if token.last_used_at is None:
        # Its first use, seen at once: from now on its claim may not be repeated.
        Token.objects.filter(id=token.id).update(last_used_at=Now())
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
