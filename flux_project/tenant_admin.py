"""Namespaces and their tokens in the admin (docs/operations.md).

What is changed is changed by `namespaces.tenancy` and `namespaces.issuing`, as by the
API. Invariant: the text of a token is in the answer to the POST that made it and
nowhere else: in no address, no session, no message and no log.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from flux_project import addresses, admin_pages, charts, pool, tenants
from flux_project.admin_pages import Page, PagesAdmin
from flux_project.errors import Conflict, Invalid
from flux_project.tenant_forms import (
    DeleteForm,
    NamespaceForm,
    RotationForm,
    SuspendForm,
    TokenForm,
)
from flux_project.tenants import Hour, Tenant
from namespaces import (
    issuing,
    naming,
    rows,
    tenancy,
    trail,
)
from namespaces.models import Namespace, Token

ENTRIES = 8
_ONE = "<slug:name>/"
_TOKEN = "<slug:name>/tokens/<slug:token_id>/"  # noqa: S105  a route
_VIEW, _ADD = "namespaces.view_namespace", "namespaces.add_namespace"
_CHANGE, _DELETE = "namespaces.change_namespace", "namespaces.delete_namespace"


@admin.register(Namespace)
class NamespaceAdmin(PagesAdmin):
    """All of their pages; what is done to one is a page of its own, which asks."""

    pages: ClassVar = [
        Page("", "listing", "changelist", _VIEW),
        Page("add/", "make", "add", _ADD, changes=True),
        Page(f"{_ONE}change/", "details", "change", _VIEW),
        Page(f"{_ONE}suspend/", "suspend", "suspend", _CHANGE, changes=True),
        Page(f"{_ONE}resume/", "resume", "resume", _CHANGE, changes=True),
        Page(f"{_ONE}delete/", "delete", "delete", _DELETE, changes=True),
        Page(
            f"{_ONE}tokens/add/",
            "make_token",
            "token_add",
            "namespaces.add_token",
            changes=True,
        ),
        Page(
            f"{_TOKEN}rotate/",
            "rotate",
            "token_rotate",
            "namespaces.change_token",
            changes=True,
        ),
        Page(
            f"{_TOKEN}revoke/",
            "revoke",
            "token_revoke",
            "namespaces.delete_token",
            changes=True,
        ),
    ]

    def listing(self, request: HttpRequest) -> HttpResponse:
        given = request.GET
        state = given.get("state", "")
        with pool.connection() as connection:
            page = tenants.page(
                connection,
                search=_text(given.get("search", "")),
                state=state if state in tenants.STATES else "",
                after=_text(given.get("after", "")),
            )
        return self.page(
            request,
            "tenants/list.html",
            title="Namespaces",
            page=page,
            states=tenants.STATES,
            **_mode(),
        )

    def details(self, request: HttpRequest, name: str) -> HttpResponse:
        with pool.connection() as connection:
            tenant = tenants.one(connection, name)
            hours = tenants.hours(connection, name)
            entries = trail.of_namespace(connection, name, limit=ENTRIES)
        stored = [(_hour(hour), hour.events) for hour in hours]
        refused = [(_hour(hour), hour.refused) for hour in hours]
        return self.page(
            request,
            "tenants/namespace.html",
            title=f"Namespace {name}",
            tenant=tenant,
            tokens=_tokens(tenant),
            stored=charts.chart(stored, unit="events"),
            refused=charts.chart(refused, unit="refused"),
            entries=entries,
            now=timezone.now(),
            **_mode(),
        )

    def make(self, request: HttpRequest) -> HttpResponse:
        if _mode()["is_open"]:
            return self._closed(request, "New namespace")
        if request.method != "POST":
            form = NamespaceForm(initial={"name": naming.propose()})
            return self._new_namespace(request, form)
        form = NamespaceForm(request.POST)
        if not form.is_valid():
            return self._new_namespace(request, form)
        try:
            made = tenancy.register(
                form.cleaned_data["name"], admin_pages.actor(request)
            )
        except (Invalid, Conflict) as error:
            admin_pages.refused(form, error)
            return self._new_namespace(request, form)
        return self._shown_once(request, made.namespace.name, made.token, made.text)

    def _new_namespace(self, request: HttpRequest, form: NamespaceForm) -> HttpResponse:
        return self.page(request, "tenants/new.html", title="New namespace", form=form)

    def suspend(self, request: HttpRequest, name: str) -> HttpResponse:
        form = SuspendForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            because = form.cleaned_data["because"]
            tenancy.suspend(name, admin_pages.actor(request), because=because)
            return _done(request, name, f"{name} is suspended.")
        return self._ask(request, "suspend", name, form)

    def resume(self, request: HttpRequest, name: str) -> HttpResponse:
        if request.method == "POST":
            tenancy.resume(name, admin_pages.actor(request))
            return _done(request, name, f"{name} is active again.")
        return self._ask(request, "resume", name, None)

    def delete(self, request: HttpRequest, name: str) -> HttpResponse:
        form = DeleteForm(request.POST or None, name=name)
        if request.method == "POST" and form.is_valid():
            tenancy.delete(name, admin_pages.actor(request))
            return _done(request, name, f"{name} is deleted.")
        return self._ask(request, "delete", name, form)

    def make_token(self, request: HttpRequest, name: str) -> HttpResponse:
        if _mode()["is_open"]:
            return self._closed(request, "New token")
        form = TokenForm(request.POST or None, namespace=name)
        if request.method == "POST":
            made = _granted(
                form,
                lambda: issuing.make(name, form.wanted(), admin_pages.actor(request)),
            )
            if made is not None:
                return self._shown_once(request, name, made.token, made.text)
        rows.find(name)
        return self.page(
            request,
            "tenants/new_token.html",
            title=f"New token of {name}",
            form=form,
            name=name,
        )

    def rotate(self, request: HttpRequest, name: str, token_id: str) -> HttpResponse:
        if _mode()["is_open"]:
            return self._closed(request, "Rotate a token")
        form = RotationForm(request.POST or None)
        if request.method == "POST":
            made = _granted(
                form,
                lambda: issuing.rotate(
                    name, token_id, form.wanted(), admin_pages.actor(request)
                ),
            )
            if made is not None:
                return self._shown_once(request, name, made.token, made.text)
        return self._ask(request, "rotate", name, form, _token(name, token_id))

    def revoke(self, request: HttpRequest, name: str, token_id: str) -> HttpResponse:
        token = _token(name, token_id)
        if request.method == "POST":
            issuing.revoke(name, token_id, admin_pages.actor(request))
            return _done(request, name, f"The token {token.label} is revoked.")
        return self._ask(request, "revoke", name, None, token)

    def _ask(
        self,
        request: HttpRequest,
        what: str,
        name: str,
        form: Any,
        token: Token | None = None,
    ) -> HttpResponse:
        """The page between wanting and doing: it says what will be lost."""
        rows.find(name)
        with pool.connection() as connection:
            tenant = tenants.one(connection, name)
        return self.page(
            request,
            f"tenants/{what}.html",
            title=f"{what.capitalize()} {token.label if token else name}",
            tenant=tenant,
            token=token,
            form=form,
            **_mode(),
        )

    def _closed(self, request: HttpRequest, title: str) -> HttpResponse:
        return self.page(request, "tenants/open_mode.html", title=title, status=403)

    def _shown_once(
        self, request: HttpRequest, name: str, token: Token, text: str
    ) -> HttpResponse:
        answer = self.page(
            request,
            "tenants/token.html",
            title=f"Token of {name}",
            name=name,
            token=token,
            text=text,
            starts=token.prefix or f"{name}/",
            base_url=addresses.of(request),
        )
        answer["Cache-Control"] = "no-store"
        return answer


def _granted(
    form: TokenForm | RotationForm, make: Callable[[], issuing.Made]
) -> issuing.Made | None:
    """None: the form says why not."""
    if not form.is_valid():
        return None
    try:
        return make()
    except (Invalid, Conflict) as error:
        admin_pages.refused(form, error)
        return None


def _tokens(tenant: Tenant) -> list[Token]:
    """All that it ever had, the usable ones first."""
    found = Token.objects.filter(namespace_id=tenant.id)
    return list(found.order_by("-revoked_at", "-created_at", "id"))


def _token(name: str, token_id: str) -> Token:
    """Raises NamespaceNotFound, TokenNotFound."""
    found = Token.objects.filter(namespace=rows.find(name), id=token_id).first()
    if found is None:
        raise rows.TokenNotFound
    return found


def _done(request: HttpRequest, name: str, message: str) -> HttpResponse:
    where = reverse("admin:namespaces_namespace_change", args=[name])
    return admin_pages.done(request, message, where)


def _hour(hour: Hour) -> str:
    return f"{hour.at:%d %b %H:00}"


def _mode() -> dict[str, bool]:
    return {"is_open": not settings.FLUX_AUTH_ENABLED}


def _text(given: str) -> str:
    """What PostgreSQL can compare with a name: none has a NUL."""
    return given.replace("\0", "").strip().lower()
