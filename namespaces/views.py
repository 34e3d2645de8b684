"""`/api/admin/config`, `/api/namespaces` and their tokens (contract §§6, 7)."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flux_project import api, openapi, pool
from flux_project.errors import NotFound
from flux_project.reply import Reply, encode, ok
from namespaces import (
    audit,
    authentication,
    config,
    configuring,
    grants,
    issuing,
    requests,
    rows,
    shown,
    tenancy,
)
from namespaces.audit import Actor
from namespaces.grants import Grant, Scope


class OpenMode(NotFound):
    """This server is in open mode: it has no namespaces to register and no tokens.
    FLUX_AUTH_ENABLED=true is the other mode."""

    code = "open_mode"


class ConfigViewSet(api.Endpoint):
    """The values an operator changes while Flux runs."""

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        """A missing token is answered before what is wrong with the body (§0)."""
        if self.action == "update":
            _require_admin(request)
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
        actor = audit.admin_token(api.address(request))
        return api.respond(ok(config.as_dict(configuring.put(wanted, actor))))


class TenantEndpoint(api.Endpoint):
    """What exists in auth mode alone."""

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        if self.action is not None:
            if not settings.FLUX_AUTH_ENABLED:
                raise OpenMode
            if self.action != "metadata":  # OPTIONS: what there is, is no secret
                self.admit(request)
        super().initial(request, *args, **kwargs)

    def admit(self, request: Request) -> None:
        """Raises Unauthenticated, which goes before what is wrong with the body (§0).
        What forbids it to a usable token comes behind that."""


class NamespaceViewSet(TenantEndpoint):
    """Namespaces: registered, read, deleted.

    entity_count: how many entities a namespace has; the root of the application says.
    """

    entity_count: Callable[[Any, str], int] | None = None

    def admit(self, request: Request) -> None:
        is_open = settings.FLUX_OPEN_REGISTRATION and self.action == "create"
        if self.action in {"create", "destroy"} and not is_open:
            _require_admin(request)

    @extend_schema(**openapi.REGISTER)
    def create(self, request: Request) -> HttpResponse:
        """Register a namespace; its token is shown this once."""
        given = requests.decoded(api.body(request))
        address = api.address(request)
        is_admin = authentication.is_admin(
            request.headers.get("Authorization"), address=address
        )
        made = tenancy.register(
            given.get("name"),
            audit.admin_token(address) if is_admin else audit.anyone(address),
            is_open=not is_admin,
        )
        found = made.namespace
        answer = {"namespaceId": found.id, "name": found.name, "token": made.text}
        return api.respond(ok(answer))

    @extend_schema(**openapi.READ_NAMESPACE)
    def retrieve(self, request: Request, name: str) -> HttpResponse:
        """Read what is public of a namespace."""
        found = rows.find(name)
        with pool.connection() as connection:
            count = self.entity_count(connection, name) if self.entity_count else 0
        answer = {
            "namespaceId": found.id,
            "name": found.name,
            "createdAt": shown.time(found.created_at),
            "entityCount": count,
        }
        return api.respond(ok(answer))

    @extend_schema(**openapi.DELETE_NAMESPACE)
    def destroy(self, request: Request, name: str) -> HttpResponse:
        """Delete a namespace: its tokens end, its entities stay readable."""
        tenancy.delete(name, audit.admin_token(api.address(request)))
        return api.respond(Reply(204, b""))


class TokenViewSet(TenantEndpoint):
    """A namespace's tokens, for the operator and for who has the scope `tokens`."""

    maker: Grant | None = None
    actor: Actor

    def admit(self, request: Request) -> None:
        header = request.headers.get("Authorization")
        address = api.address(request)
        if authentication.is_admin(header, address=address):
            self.actor = audit.admin_token(address)
            return
        maker = authentication.confirmed(header, address=address)
        self.maker, self.actor = maker, audit.token(maker.token_id, address)

    def _allow(self, name: str) -> None:
        """Raises what forbids it to the request's token to look at this namespace's."""
        maker = self.maker
        if maker is None:
            return
        own = maker.starts if maker.namespace == name else f"{name}/"
        refused = grants.refusal(maker, Scope.TOKENS, own, is_kept=True)
        if refused is not None:
            raise refused

    @extend_schema(**openapi.LIST_TOKENS)
    def list(self, request: Request, name: str) -> HttpResponse:
        """List a namespace's tokens, those that have ended included."""
        self._allow(name)
        found = [shown.token(token) for token in issuing.listed(name)]
        return api.respond(ok({"tokens": found}))

    @extend_schema(**openapi.MAKE_TOKEN)
    def create(self, request: Request, name: str) -> HttpResponse:
        """Make a token, which is shown this once."""
        given = requests.decoded(api.body(request))
        wanted = requests.token_wanted(given, namespace=name)
        self._allow(name)
        made = issuing.make(name, wanted, self.actor, maker=self.maker)
        answer = {**shown.token(made.token), "token": made.text}
        return api.respond(Reply(201, encode(answer)))

    @extend_schema(**openapi.ROTATE_TOKEN)
    def rotate(self, request: Request, name: str, token_id: str) -> HttpResponse:
        """Give a token a new secret; the old one works until the overlap ends."""
        given = requests.decoded(api.body(request), may_be_empty=True)
        wanted = requests.rotation(given)
        self._allow(name)
        made = issuing.rotate(name, token_id, wanted, self.actor, maker=self.maker)
        return api.respond(ok({**shown.token(made.token), "token": made.text}))

    @extend_schema(**openapi.REVOKE_TOKEN)
    def destroy(self, request: Request, name: str, token_id: str) -> HttpResponse:
        """Revoke a token: it is refused everywhere within a second."""
        self._allow(name)
        issuing.revoke(name, token_id, self.actor, maker=self.maker)
        return api.respond(Reply(204, b""))


def _require_admin(request: Request) -> None:
    header = request.headers.get("Authorization")
    authentication.require_admin(header, address=api.address(request))
