"""`/api/admin/config`: the runtime configuration (contract §7)."""

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flux_project import api, openapi, pool
from flux_project.reply import ok
from namespaces import access, config


class ConfigViewSet(api.Endpoint):
    """The values an operator changes while Flux runs."""

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        """A missing token is answered before what is wrong with the body (§0)."""
        if self.action == "update":
            access.require_admin(
                request.headers.get("Authorization"),
                admin_token=settings.FLUX_ADMIN_TOKEN,
            )
        super().initial(request, *args, **kwargs)

    @extend_schema(**openapi.READ_CONFIG)
    def retrieve(self, request: Request) -> HttpResponse:
        """Read the runtime config."""
        with pool.connection() as connection:
            return api.respond(ok(config.as_dict(config.refresh(connection))))

    @extend_schema(**openapi.CHANGE_CONFIG)
    def update(self, request: Request) -> HttpResponse:
        """Change any part of the runtime config; in force everywhere within 1 s."""
        wanted = config.checked(api.body(request))
        with pool.connection() as connection, connection.transaction():
            return api.respond(ok(config.as_dict(config.change(connection, wanted))))
