"""Namespaces for people to look through, with what each has and did.

Joined here, as namespaces know of no entities. Invariant: what is summed up is asked
for by key, for the namespaces of a page alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from psycopg import Connection
from psycopg.rows import TupleRow

from flux_project.database import statement
from namespaces.rows import NamespaceNotFound

PAGE_ROWS = 50
STATES = ("active", "suspended", "deleted")
USAGE_HOURS = 7 * 24

_SQL = Path(__file__).parent / "sql"
_PAGE = statement(_SQL / "tenants.sql")
_HOURS = statement(_SQL / "tenant_hours.sql")

Session = Connection[TupleRow]


@dataclass(frozen=True, slots=True)
class Tenant:
    """events, refused: stored, and refused over the limit, in the last 24 hours.
    tokens: how many are usable. owner: the e-mail address of who bought it, purchase:
    the id of the purchase; "" if nobody did."""

    id: str
    name: str
    created_at: datetime
    suspended_at: datetime | None
    suspended_because: str
    deleted_at: datetime | None
    entities: int
    events: int
    refused: int
    tokens: int
    owner: str
    purchase: str

    @property
    def state(self) -> str:
        if self.deleted_at is not None:
            return "deleted"
        return "active" if self.suspended_at is None else "suspended"


@dataclass(frozen=True, slots=True)
class Page:
    """after: the next page lies behind this name; None: there is none."""

    rows: list[Tenant]
    after: str | None


@dataclass(frozen=True, slots=True)
class Hour:
    at: datetime
    events: int
    refused: int


def page(
    connection: Session, *, search: str = "", state: str = "", after: str = ""
) -> Page:
    """Namespaces with `search` in their name, in one state, in the order of names."""
    found = _find(
        connection, search=search, state=state, after=after, limit=PAGE_ROWS + 1
    )
    rows = found[:PAGE_ROWS]
    return Page(rows, rows[-1].name if len(found) > PAGE_ROWS else None)


def one(connection: Session, name: str) -> Tenant:
    """A namespace, a deleted one too. Raises NamespaceNotFound."""
    found = named(connection, [name])
    if not found:
        raise NamespaceNotFound
    return found[0]


def named(connection: Session, names: Sequence[str]) -> list[Tenant]:
    """Those of these names that there are, in the order of names."""
    return _find(connection, names=[*names], limit=len(names))


def _find(
    connection: Session,
    *,
    limit: int,
    names: list[str] | None = None,
    search: str = "",
    state: str = "",
    after: str = "",
) -> list[Tenant]:
    given = {
        "names": names,
        "search": search,
        "state": state,
        "after": after,
        "limit": limit,
    }
    return [Tenant(*row) for row in connection.execute(_PAGE, given)]


def hours(connection: Session, name: str) -> list[Hour]:
    """The last seven days by the hour, the oldest first; the last one is running."""
    given = {"name": name, "hours": USAGE_HOURS}
    return [Hour(*row) for row in connection.execute(_HOURS, given)]
