"""Commands with defaults, and the state as Python sees it."""

import json
from typing import Any

from events import envelope
from events.commands import Append
from events.envelope import Event
from flux_project.database import Session
from state import reader
from state.selection import Selection

Values = dict[str, Any]


def append(
    entity_id: str = "a/x",
    properties: Values | None = None,
    *,
    unset: tuple[str, ...] = (),
    event_id: str | None = None,
    stream: str = "test",
) -> Append:
    payload: Values = {"entity_id": entity_id, "properties": properties or {}}
    if unset:
        payload["unset"] = list(unset)
    event: Values = {"stream": stream, "source": "a test", "payload": payload}
    event["eventId"] = event_id
    return Append(envelope.parse(json.dumps(event).encode()))


def poison(entity_id: str = "a/x") -> Append:
    """An event that only PostgreSQL refuses: `envelope` would never make it."""
    properties = b'{"x":"\\u0000"}'
    good = append(entity_id).event
    fields = {name: getattr(good, name) for name in Event.__struct_fields__}
    return Append(Event(**fields | {"properties": properties}))


class World:
    """The state as clients read it, on a connection of its own. Close it at the end."""

    def __init__(self) -> None:
        self._session = Session(name="a test reads")

    def state(self) -> dict[str, Values]:
        """Every entity by its id, in the list's order, as the list gives it."""
        connection = self._session.connection()
        found: list[Values] = []
        after = ""
        while True:
            page = reader.next_page(connection, Selection(), after=after, upto=None)
            if not page.rows:
                break
            found += json.loads(b"[%b]" % page.body)
            after = page.last_id
        return {entity["id"]: entity for entity in found}

    def get(self, *ids: str) -> dict[str, Values]:
        """Those of these entities that exist."""
        state = self.state()
        return {entity_id: state[entity_id] for entity_id in ids if entity_id in state}

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        cursor = self._session.connection().execute(query.encode(), parameters)
        return cursor.fetchall()

    def close(self) -> None:
        self._session.drop()
