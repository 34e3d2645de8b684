"""The rules of names: entity ids, and the namespace an id lies in (contract §0).

Invariant: every id that enters Flux, in a body or in a path, passed `entity_id`.
"""

import re
from functools import lru_cache

from flux_project.errors import Forbidden, Invalid

DEFAULT_NAMESPACE = "default"
RESERVED_NAMESPACE = "flux-core"
MAX_ID_CHARACTERS = 512

# Unicode's category Cc: C0, DEL and C1.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NAME = re.compile(r"[a-z0-9_-]{3,32}")


class InvalidEntityId(Invalid):
    """This is no valid entity id."""

    code = "invalid_entity_id"


class ReservedNamespace(Forbidden):
    """The namespace flux-core is kept by the server; nobody else writes to it."""

    code = "reserved_namespace"


def entity_id(text: str, *, field: str = "entity_id") -> str:
    """The id itself when it is valid; otherwise InvalidEntityId says why not."""
    problem = _problem(text)
    if problem:
        raise InvalidEntityId(f"{field} {problem}", field=field)
    return text


@lru_cache(maxsize=8_192)
def _problem(text: str) -> str | None:
    if not text:
        return "must not be empty."
    if len(text) > MAX_ID_CHARACTERS:
        return f"must have at most {MAX_ID_CHARACTERS} characters, not {len(text)}."
    if _CONTROL.search(text):
        return "must not contain control characters."
    if text.startswith("/"):
        return "must not begin with a slash: its namespace would be empty."
    if text in {".", ".."}:
        return "must not be . or .., which clients resolve away in a path."
    return None


def namespace_of(text: str) -> str:
    """The text before the first slash; `default` for an id without one."""
    namespace, slash, _ = text.partition("/")
    return namespace if slash else DEFAULT_NAMESPACE


def refuse_reserved(namespace: str) -> None:
    """Nobody publishes to the server's own namespace or deletes from it (§3)."""
    if namespace == RESERVED_NAMESPACE:
        raise ReservedNamespace


class InvalidName(Invalid):
    """A namespace's name has 3 to 32 characters of a-z, 0-9, _ and -."""

    code = "invalid_name"


def checked_name(name: object) -> str:
    """A name that a namespace may be given (contract §6). Raises InvalidName."""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise InvalidName(field="name")
    if name in {RESERVED_NAMESPACE, DEFAULT_NAMESPACE}:
        raise InvalidName(f"The name {name} is reserved.", field="name")
    return name


def require_namespace(id_: str, *, field: str) -> None:
    """In auth mode an id has its namespace in it (§0). Raises InvalidEntityId."""
    _, slash, rest = id_.partition("/")
    if not slash or not rest:
        message = f"{field} must be of the form namespace/rest."
        raise InvalidEntityId(message, field=field)
