"""Rows of namespaces and tokens, found by what people call them.

Invariant: what was deleted is not found; what no name can be finds nothing.
"""

from django.db.models import QuerySet

from flux_project.errors import NotFound
from namespaces import change
from namespaces.models import Namespace, Owner, Token


class NamespaceNotFound(NotFound):
    """There is no such namespace."""

    code = "namespace_not_found"


class TokenNotFound(NotFound):
    """This namespace has no such token."""

    code = "token_not_found"


def find(name: str) -> Namespace:
    """A namespace that was not deleted. Raises NamespaceNotFound."""
    with change.available():
        found = named(name).first()
    if found is None:
        raise NamespaceNotFound
    return found


def locked(name: str) -> Namespace:
    """The same, for who changes it in a transaction. Raises NamespaceNotFound."""
    found = named(name).select_for_update().first()
    if found is None:
        raise NamespaceNotFound
    return found


def check_owner(namespace: Namespace, owner: Owner) -> None:
    """Another's is answered like one that does not exist. Raises NamespaceNotFound."""
    if namespace.owner_id != owner.id:
        raise NamespaceNotFound


def named(name: str) -> QuerySet[Namespace]:
    """The one of this name that was not deleted, if there is one."""
    if "\0" in name:  # PostgreSQL takes none, not even to compare with
        return Namespace.objects.none()
    return Namespace.objects.filter(name=name, deleted_at=None)


def token(namespace: Namespace, token_id: str) -> Token:
    """One of its tokens, revoked ones too. Raises TokenNotFound."""
    with change.available():
        return _one(Token.objects.filter(namespace=namespace), token_id)


def locked_token(namespace: Namespace, token_id: str) -> Token:
    """A token, for who changes it in a transaction. Raises TokenNotFound."""
    rows = Token.objects.select_for_update()
    return _one(rows.filter(namespace=namespace), token_id)


def _one(rows: QuerySet[Token], token_id: str) -> Token:
    found = None if "\0" in token_id else rows.filter(id=token_id).first()
    if found is None:
        raise TokenNotFound
    return found
