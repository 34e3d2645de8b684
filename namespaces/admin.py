"""The runtime config and the audit log in the admin. (The pages of namespaces, which
show entities as well, are in `flux_project.tenant_admin`.)"""

from dataclasses import fields
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from flux_project import admin_pages, pool
from flux_project.admin_pages import Page, PagesAdmin
from flux_project.errors import Invalid, NotFound
from flux_project.readonly import Given, ReadOnlyAdmin
from namespaces import (
    configuring,
    trail,
)
from namespaces.config import Config
from namespaces.config_form import ConfigForm
from namespaces.models import AuditEntry, RuntimeConfig

_MAX_KEY_DIGITS = 18
_CHANGE = "namespaces.change_runtimeconfig"


class NoSuchEntry(NotFound):
    """The audit log has no such entry."""

    code = "audit_entry_not_found"


class InvalidPlace(Invalid):
    """“before” must be the number of an entry."""

    code = "invalid_parameter"


@admin.register(RuntimeConfig)
class RuntimeConfigAdmin(PagesAdmin):
    """One form. Who may not change it sees it filled in."""

    pages: ClassVar = [
        Page("", "show", "changelist", "namespaces.view_runtimeconfig"),
        Page("change/", "change", "change", _CHANGE, changes=True),
    ]

    def show(self, request: HttpRequest) -> HttpResponse:
        return self._form(request, ConfigForm(shown=_stored()))

    def change(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return self.show(request)
        form = ConfigForm(request.POST, shown=_stored())
        if not form.is_valid():
            return self._form(request, form)
        configuring.put(form.wanted(), admin_pages.actor(request))
        where = reverse("admin:namespaces_runtimeconfig_changelist")
        said = "Saved. Every process follows within a second."
        if not form.changed_data:
            said = "Nothing was changed."
        return admin_pages.done(request, said, where)

    def _form(self, request: HttpRequest, form: ConfigForm) -> HttpResponse:
        may_change = request.user.has_perm(_CHANGE)
        if not may_change:
            for field in form.fields.values():
                field.disabled = True
        return self.page(
            request,
            "tenants/config.html",
            title="Runtime config",
            form=form,
            may_change=may_change,
            is_open=not settings.FLUX_AUTH_ENABLED,
        )


def _stored() -> Config:
    """What the table says now; this process' own is up to half a second older."""
    row = RuntimeConfig.objects.get()
    return Config(**{field.name: getattr(row, field.name) for field in fields(Config)})


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Newest first, paged by id."""

    list_template = "trail/list.html"
    details_template = "trail/entry.html"

    def listing(self, given: Given) -> dict[str, Any]:
        before = given.get("before") or None
        if before is not None and not _is_key(before):
            raise InvalidPlace
        with pool.connection() as connection:
            page = trail.page(
                connection,
                action=_text(given, "action"),
                search=_text(given, "search"),
                before=int(before) if before else None,
            )
        return {"page": page, "entries": page.entries, "actions": trail.ACTIONS}

    def details(self, key: str) -> dict[str, Any]:
        if not _is_key(key):
            raise NoSuchEntry
        with pool.connection() as connection:
            entry = trail.one(connection, int(key))
        if entry is None:
            raise NoSuchEntry
        return {"entry": entry}


def _is_key(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _MAX_KEY_DIGITS


def _text(given: Given, name: str) -> str:
    """What PostgreSQL can compare with a text: none has a NUL."""
    return given.get(name, "").replace("\0", "").strip()
