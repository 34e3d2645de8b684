"""`/api/state/entities`: the world as it is now, and deleting from it."""

from collections.abc import Iterator
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flux_project import api, openapi, pool, streams
from state import endpoints, listing, reader


class EntityViewSet(api.Endpoint):
    """Entities: derived from the log, listed, read one by one, deleted."""

    writes = frozenset({"destroy", "delete_matching"})

    @extend_schema(**openapi.LIST_ENTITIES)
    def list(self, request: Request) -> HttpResponse:
        """List entities in the order of their ids."""
        wanted = listing.wanted(request.GET)
        upto, cursor = None, None
        if wanted.limit is not None:
            with pool.connection() as connection:
                upto, has_more = reader.last_of(
                    connection, wanted.selection, after=wanted.after, limit=wanted.limit
                )
            if upto is None:
                return streams.array(iter(()))
            cursor = listing.encode_cursor(upto) if has_more else None
        return streams.array(
            _bodies(wanted, upto), link=streams.next_link(request, cursor=cursor)
        )

    @extend_schema(**openapi.GET_ENTITY)
    def retrieve(self, request: Request, entity_id: str) -> HttpResponse:
        """Read one entity."""
        tag = request.headers.get("If-None-Match")
        return api.answer(endpoints.get_entity(entity_id, if_none_match=tag))

    @extend_schema(**openapi.DELETE_ENTITY)
    def destroy(self, request: Request, entity_id: str) -> HttpResponse:
        """Delete one entity; its history stays."""
        return api.answer(endpoints.delete_entity(entity_id, self.grant))

    @extend_schema(**openapi.DELETE_MATCHING)
    def delete_matching(self, request: Request, **_: Any) -> HttpResponse:
        """Delete by namespace, by prefix, or by a list of ids."""
        return api.answer(endpoints.delete_matching(api.body(request), self.grant))


def _bodies(wanted: listing.Wanted, upto: str | None) -> Iterator[bytes]:
    """The list's pages, each read on a connection that is given back at once."""
    after = wanted.after
    while True:
        with pool.connection() as connection:
            page = reader.next_page(
                connection, wanted.selection, after=after, upto=upto
            )
        if not page.rows:
            return
        yield page.body
        after = page.last_id
