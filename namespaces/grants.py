"""What a token may do: the one function that decides every permission. Pure.

Invariant: deny by default. Who may do something is said here and nowhere else; the
edges and the log's transaction ask, and raise what is answered.
"""

import enum
from collections.abc import Iterable
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import force_setattr

from flux_project.errors import Forbidden
from namespaces import names


class Scope(enum.StrEnum):
    """What a token may be good for (contract §6)."""

    PUBLISH = "publish"
    DELETE = "delete"
    CONNECTORS = "connectors"
    TOKENS = "tokens"


ALL_SCOPES = tuple(Scope)


class ForeignNamespace(Forbidden):
    """This token is not for that namespace."""

    code = "foreign_namespace"


class OutsidePrefix(Forbidden):
    """This token is for another part of its namespace."""

    code = "outside_prefix"


class MissingScope(Forbidden):
    """This token lacks the scope that this needs."""

    code = "missing_scope"


class NamespaceSuspended(Forbidden):
    """This namespace is suspended: it can be read and not written to."""

    code = "namespace_suspended"


class Grant(Struct, frozen=True):
    """A usable token: whose it is, and what it may do.

    digest: of the secret that was shown, 32 bytes. prefix: what the ids begin with that
    it may write; None: with the namespace. until: when it ends, in seconds since 1970.
    starts: the prefix, or `name/`. publishes: the same if it may publish now, else
    None; it saves the usual event the longer way.
    """

    token_id: str
    digest: bytes
    namespace: str
    prefix: str | None
    scopes: frozenset[Scope]
    is_suspended: bool
    until: float
    starts: str = ""
    publishes: str | None = None

    def __post_init__(self) -> None:
        starts = self.prefix or f"{self.namespace}/"
        force_setattr(self, "starts", starts)
        if Scope.PUBLISH in self.scopes and not self.is_suspended:
            force_setattr(self, "publishes", starts)


@lru_cache(maxsize=64)
def held(scopes: tuple[str, ...]) -> frozenset[Scope]:
    """One set for all tokens that have these; another version's scopes say nothing."""
    known = set(Scope)
    return frozenset(Scope(scope) for scope in scopes if scope in known)


def refusal(
    granted: Grant, scope: Scope, target: str, *, is_kept: bool = False
) -> Forbidden | None:
    """Why a token may not do this; None: it may.

    target: an entity id, or what the ids begin with that are meant, such as `name/`.
    is_kept: nothing is written by it, so that a suspended namespace may have it.
    """
    if names.namespace_of(target) == names.RESERVED_NAMESPACE:
        return names.ReservedNamespace()
    if not target.startswith(granted.starts):
        return _outside(granted, target)
    if scope not in granted.scopes:
        return MissingScope(f"This needs a token with the scope {scope}.")
    if granted.is_suspended and not is_kept:
        return NamespaceSuspended()
    return None


def _outside(granted: Grant, target: str) -> Forbidden:
    """The same for an unknown namespace as for somebody else's (contract §0)."""
    own = f"{granted.namespace}/"
    if target.startswith(own):
        message = f"This token is only for ids that begin with {granted.starts}"
        return OutsidePrefix(message)
    message = f"This token is only for the namespace {granted.namespace}."
    return ForeignNamespace(message)


def may_grant(
    maker: Grant, *, starts: str, scopes: Iterable[Scope], until: float
) -> Forbidden | None:
    """Why a token's holder may not make, or have the secret of, such a token: it never
    grants more than its maker has (contract §6)."""
    refused = refusal(maker, Scope.TOKENS, starts)
    if refused is not None:
        return refused
    more = sorted(set(scopes) - maker.scopes)
    if more:
        message = f"This token has not the scope {more[0]} itself, so it grants none."
        return MissingScope(message)
    if until > maker.until:
        message = "A token cannot outlive the one that it is made with."
        return OutlivesMaker(message)
    return None


class OutlivesMaker(Forbidden):
    """A token cannot outlive the one that it is made with."""

    code = "outlives_maker"
