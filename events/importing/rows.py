"""One row → one event, as a Plan says.

Invariant: a row makes the same event, id included, whenever and wherever it is read
again. So a second run stores nothing twice, while a row that was corrected in between
is another event. Without a time column the server dates the event.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
from msgspec import Raw

from events.importing import times, values
from flux_project.errors import Invalid

Cell = str | Raw
"""A CSV file's text, or a JSON line's value as it stands there."""

Row = Mapping[str, Cell]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class RowRefused(Invalid):
    """This row makes no event."""

    code = "row_refused"


class Event(NamedTuple):
    """What is sent for a row: `text` is its JSON, id and entity included."""

    event_id: str
    entity_id: str
    text: bytes


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a file's columns mean.

    properties: name → column, or None for every column not used otherwise.
    text_columns: stay text whatever they look like; None: all of them.
    nulls: texts that mean "missing"; omit_nulls: leave such a property out, else null.
    """

    entity: tuple[str, ...]
    prefix: str = ""
    time: tuple[str, ...] = ()
    reading: times.Reading = times.AS_IT_LOOKS
    stream: str = "import"
    source: str
    properties: Mapping[str, str] | None = None
    exclude: frozenset[str] = frozenset()
    text_columns: frozenset[str] | None = frozenset()
    nulls: frozenset[str] = frozenset({""})
    omit_nulls: bool = True
    import_id: str
    id_prefix: str = ""
    _unused: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        unused = self.exclude.union(self.entity, self.time)
        object.__setattr__(self, "_unused", unused)

    def columns(self) -> set[str]:
        """Every column that the plan names."""
        renamed = self.properties.values() if self.properties else ()
        return {*self._unused, *(self.text_columns or ()), *renamed}


def entity_id(row: Row, plan: Plan) -> str:
    """The prefix and the entity columns' values, joined by `/`."""
    return plan.prefix + "/".join(_key(row, name, plan) for name in plan.entity)


def event(row: Row, plan: Plan, *, line: int) -> Event:
    """The row's event. Raises RowRefused or BadTime."""
    timestamp = _timestamp(row, plan) if plan.time else None
    entity = entity_id(row, plan)
    return event_of(entity, _properties(row, plan), timestamp, plan, line=line)


def event_of(
    entity: str,
    properties: Mapping[str, object],
    timestamp: int | None,
    plan: Plan,
    *,
    line: int,
) -> Event:
    """An event whose id is made of everything it says and of its line."""
    said: dict[str, object] = {} if timestamp is None else {"timestamp": timestamp}
    said["stream"], said["source"] = plan.stream, plan.source
    said["payload"] = {"entity_id": entity, "properties": properties}
    try:
        text = _encode(said)
        whole = b"%b\0%d\0%b" % (plan.import_id.encode(), line, text)
        digest = hashlib.blake2b(whole, digest_size=16).hexdigest()
        event_id = plan.id_prefix + digest
        return Event(
            event_id, entity, b'{"eventId":%b,%b' % (_encode(event_id), text[1:])
        )
    except UnicodeEncodeError:
        message = "It holds bytes that its encoding does not know (see --encoding)."
        raise RowRefused(message) from None


def _timestamp(row: Row, plan: Plan) -> int:
    if len(plan.time) == 1:
        return times.from_text(_key(row, plan.time[0], plan), plan.reading)
    parts = tuple([_key(row, name, plan) for name in plan.time])
    return times.from_parts(parts, plan.reading)


def _key(row: Row, column: str, plan: Plan) -> str:
    """The text of a cell that the event cannot do without."""
    cell = row.get(column, "")
    text = cell if isinstance(cell, str) else _text_of(cell, column)
    if not text or text in plan.nulls:
        raise RowRefused(f"The column {column} is empty.", field=column)
    return text


def _text_of(cell: Raw, column: str) -> str:
    """A JSON string's text, or a number's very digits; null counts as empty."""
    text = bytes(cell)
    if text == b"null":
        return ""
    if text[:1] == b'"':
        return str(_decode(text))
    if text[:1] in b"[{tf":
        message = f"The column {column} must hold a string or a number."
        raise RowRefused(message, field=column)
    return text.decode()


def _properties(row: Row, plan: Plan) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, column, cell in _wanted(row, plan):
        value = _value(cell, column, plan)
        if value is not None or not plan.omit_nulls:
            found[name] = value
    return found


def _wanted(row: Row, plan: Plan) -> Iterator[tuple[str, str, Cell]]:
    if plan.properties is None:
        unused = plan._unused
        return ((name, name, cell) for name, cell in row.items() if name not in unused)
    renamed = plan.properties.items()
    return ((name, column, row[column]) for name, column in renamed if column in row)


def _value(cell: Cell, column: str, plan: Plan) -> values.Value | None:
    if isinstance(cell, Raw):
        return None if bytes(cell) == b"null" else cell
    if cell in plan.nulls:
        return None
    if plan.text_columns is None or column in plan.text_columns:
        return cell
    return values.infer(cell)
