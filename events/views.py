"""`/api/events`: publish, publish many, read the log."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from events import endpoints, history, parameters
from flux_project import api, openapi, pool, streams


class EventViewSet(api.Endpoint):
    """The log: appended to here, read from here, never changed."""

    writes = frozenset({"create", "batch"})

    @extend_schema(**openapi.PUBLISH)
    def create(self, request: Request) -> HttpResponse:
        """Publish one event."""
        return api.answer(endpoints.publish(api.body(request), self.grant))

    @extend_schema(**openapi.PUBLISH_BATCH)
    def batch(self, request: Request) -> HttpResponse:
        """Publish many events; a bad one fails alone, the others commit together."""
        body = api.body(request)
        return api.answer(endpoints.publish_batch(body, self.grant))

    @extend_schema(**openapi.HISTORY)
    def list(self, request: Request, *args: Any) -> HttpResponse:
        """Read the log, newest event first."""
        query = parameters.query(request.GET)
        with pool.connection() as connection:
            found = history.find(connection, query)
        chunks = history.chunks(found)
        return streams.array(
            (streams.read(history.body, chunk) for chunk in chunks),
            link=streams.next_link(request, before=found.next_before),
        )
