"""The log in the admin: to look through, never to change."""

from typing import Any

from django.contrib import admin

from events import browse, parameters
from events.models import Event
from flux_project import pool
from flux_project.errors import NotFound
from flux_project.readonly import Given, ReadOnlyAdmin
from namespaces import names

_MAX_SEQ = (1 << 63) - 2


class NoSuchEvent(NotFound):
    """The log has no event at this seq."""

    code = "event_not_found"


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """Newest first, paged by seq; one entity's events by the index they have."""

    list_template = "browse/events.html"
    details_template = "browse/event.html"

    def listing(self, given: Given) -> dict[str, Any]:
        given = {name: value for name, value in given.items() if value}
        upto = parameters.whole(given, "seq", low=1, high=_MAX_SEQ)
        entity = given.get("entity")
        before = parameters.whole(given, "before", low=1, high=_MAX_SEQ)
        with pool.connection() as connection:
            page = browse.page(
                connection,
                entity_id=names.entity_id(entity, field="Entity") if entity else None,
                before=before if upto is None else upto + 1,
                after=parameters.whole(given, "after", low=0, high=_MAX_SEQ),
            )
        return {"page": page, "events": page.rows}

    def details(self, key: str) -> dict[str, Any]:
        if not (key.isascii() and key.isdecimal() and len(key) < 19):
            raise NoSuchEvent
        with pool.connection() as connection:
            event = browse.one(connection, int(key))
        if event is None:
            raise NoSuchEvent
        return {"event": event}
