"""`/api/connectors`: what Flux can be connected to."""

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from connectors import catalog
from flux_project import api, openapi
from flux_project.reply import ok
from namespaces import authentication


class ConnectorViewSet(api.Endpoint):
    """The kinds of connectors and their status."""

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        """In auth mode a token is not needed, but one that is given must be good."""
        header = request.headers.get("Authorization")
        if settings.FLUX_AUTH_ENABLED and self.action == "list" and header is not None:
            authentication.confirmed(header, address=api.address(request))
        super().initial(request, *args, **kwargs)

    @extend_schema(**openapi.LIST_CONNECTORS)
    def list(self, request: Request) -> HttpResponse:
        """List the kinds of connectors; none is configured yet."""
        return api.respond(ok(catalog.listing()))
