"""The state in the admin: to look through, never to change."""

from typing import Any

from django.contrib import admin

from events import browse as log
from flux_project import pool
from flux_project.readonly import Given, ReadOnlyAdmin
from namespaces import names
from state import browse
from state.models import Entity
from state.store import EntityNotFound


@admin.register(Entity)
class EntityAdmin(ReadOnlyAdmin):
    """In the order of ids, paged by id; an entity's page shows its history as well."""

    list_template = "browse/entities.html"
    details_template = "browse/entity.html"

    def listing(self, given: Given) -> dict[str, Any]:
        with pool.connection() as connection:
            page = browse.page(
                connection,
                prefix=_text(given, "prefix"),
                after=_text(given, "after"),
                before=_text(given, "before") or None,
            )
        return {"page": page, "entities": page.rows}

    def details(self, key: str) -> dict[str, Any]:
        names.entity_id(key)
        with pool.connection() as connection:
            entity = browse.one(connection, key)
            history = log.page(connection, entity_id=key)
        if entity is None and not history.rows:
            raise EntityNotFound
        return {
            "entity": entity,
            "entity_id": key,
            "page": history,
            "events": history.rows,
        }


def _text(given: Given, name: str) -> str:
    """What PostgreSQL can compare with an id: no id has a NUL."""
    return given.get(name, "").replace("\0", "")
