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
