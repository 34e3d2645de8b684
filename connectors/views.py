"""`/api/connectors`: what Flux can be connected to."""

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from connectors import catalog
from flux_project import api, openapi
from flux_project.reply import ok


class ConnectorViewSet(api.Endpoint):
    """The kinds of connectors and their status."""

    @extend_schema(**openapi.LIST_CONNECTORS)
    def list(self, request: Request) -> HttpResponse:
        """List the kinds of connectors; none is configured yet."""
        return api.respond(ok(catalog.listing()))
