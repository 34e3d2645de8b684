"""The audit log for people to look through: pages of entries, newest first.

Invariant: a page looks at WINDOW entries at most, by key, however many there are; when
few match it may be short or empty, and says where to go on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import TupleRow

from flux_project.database import statement

PAGE_ROWS = 50
WINDOW = 10_000

# What there is to filter by; an entry may say something else.
ACTIONS = (
    "namespace.create",
    "namespace.suspend",
    "namespace.resume",
    "namespace.delete",
    "token.create",
    "token.rotate",
    "token.revoke",
    "purchase.refund",
    "purchase.resend",
    "purchase.settle",
    "config.change",
    "user.create",
    "user.change",
    "user.password",
    "user.delete",
)

_SQL = Path(__file__).parent / "sql"
_PAGE = statement(_SQL / "trail.sql")
_FLOOR = statement(_SQL / "trail_floor.sql")
_NAMESPACE = statement(_SQL / "trail_namespace.sql")
_BEYOND = (1 << 63) - 1
_COLUMNS = "id, at, actor, channel, address, action, target, before, after"

Session = Connection[TupleRow]


@dataclass(frozen=True, slots=True)
class Change:
    """One value of what was changed; None: there was none, or there is none."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """Who did what. before, after: the values that changed, by name."""

    id: int
    at: datetime
    actor: str
    channel: str
    address: str
    action: str
    target: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None

    @property
    def changes(self) -> list[Change]:
        before, after = self.before or {}, self.after or {}
        return [
            Change(name, _shown(before, name), _shown(after, name))
            for name in dict.fromkeys([*before, *after])
        ]


def _shown(values: Mapping[str, Any], name: str) -> str | None:
    if name not in values:
        return None
    value = values[name]
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    text = "none" if value is None or value == "" else str(value)
    return _minute(text) if name == "expires" else text


def _minute(text: str) -> str:
    """A time as far as people look at it; anything else as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{moment:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True, slots=True)
class Page:
    """older: the next page lies below this id; None: there is none."""

    entries: list[Entry]
    older: int | None


def page(
    connection: Session,
    *,
    action: str = "",
    search: str = "",
    before: int | None = None,
    limit: int = PAGE_ROWS,
) -> Page:
    """The newest entries below `before`: of one action, and with `search` in the name
    of who did it or of what it was done to."""
    upto = before or _BEYOND
    is_filtered = bool(action or search)
    window = WINDOW if is_filtered else limit + 1
    given = {"before": upto, "window": window, "action": action, "search": search}
    found = _entries(connection.execute(_PAGE, given | {"limit": limit + 1}))
    if len(found) > limit:
        return Page(found[:limit], found[limit - 1].id)
    if not is_filtered:
        return Page(found, None)
    row = connection.execute(_FLOOR, {"before": upto, "window": window}).fetchone()
    return Page(found, row[0] if row else None)


def of_namespace(connection: Session, name: str, *, limit: int) -> list[Entry]:
    """The newest entries about a namespace and its tokens, among the newest WINDOW."""
    given = {"name": name, "window": WINDOW, "limit": limit}
    return _entries(connection.execute(_NAMESPACE, given))


def newest(connection: Session, *, limit: int) -> list[Entry]:
    return page(connection, limit=limit).entries


def one(connection: Session, key: int) -> Entry | None:
    cursor = connection.execute(
        f"SELECT {_COLUMNS} FROM namespaces_auditentry WHERE id = %s",  # noqa: S608  constant
        (key,),
    )
    return next(iter(_entries(cursor)), None)


def _entries(rows: Iterator[TupleRow]) -> list[Entry]:
    return [Entry(*row) for row in rows]
