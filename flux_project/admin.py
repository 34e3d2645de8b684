"""The accounts of the admin itself, in its theme. Only administrators see them.

Invariant: every change made to an account here commits with its audit entry, or neither
does; no entry holds a password, nor its hash.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.debug import sensitive_post_parameters
from procrastinate.contrib.django.models import ProcrastinateJob
from unfold.admin import (  # type: ignore[import-untyped]  # it has no types
    ModelAdmin,
)
from unfold.forms import (  # type: ignore[import-untyped]  # likewise
    AdminPasswordChangeForm,
)

from flux_project import admin_pages, roles
from flux_project import purchase_admin as purchase_admin  # importing it registers it
from flux_project import tenant_admin as tenant_admin  # likewise
from flux_project.account_forms import AccountForm, NewAccountForm
from namespaces import audit

admin.site.index_title = "Overview"
admin.site.unregister(User)
admin.site.unregister(Group)
# A purchase's page shows its own; what is in all of them is not for every role.
admin.site.unregister(ProcrastinateJob)

if TYPE_CHECKING:
    Form = ModelForm[User]
else:
    Form = ModelForm


@admin.register(User)
class AccountAdmin(UserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]  # likewise
    """Django's pages for users, with roles, and with django-unfold's forms."""

    form = AccountForm
    add_form = NewAccountForm
    change_password_form = AdminPasswordChangeForm
    actions = None  # one account is deleted at a time
    list_display = ("username", "role", "email", "is_active", "last_login")
    list_filter = ("is_active",)
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password", "email")}),
        ("Rights", {"fields": ("is_active", "role")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    own_fieldsets = (
        (None, {"fields": ("username", "password", "email")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (
            None,
            {"fields": ("username", "password1", "password2")},
        ),
        ("Rights", {"fields": ("role",)}),
    )
    readonly_fields = ("last_login", "date_joined")

    @admin.display(description="Role")
    def role(self, account: User) -> str:
        return roles.role_of(account) or "none"

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Nobody takes away their own rights by mistake: another administrator may."""
        if obj is None:
            return self.add_fieldsets
        return self.own_fieldsets if obj.pk == request.user.pk else self.fieldsets

    def get_form(
        self,
        request: HttpRequest,
        obj: User | None = None,
        change: Any = False,
        **kwargs: Any,
    ) -> type[Form]:
        form: type[Form] = super().get_form(request, obj, change=change, **kwargs)
        if obj is not None and obj.pk == request.user.pk:
            form.base_fields.pop("role")
        return form

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _is_administrator(request)

    def has_view_permission(
        self, request: HttpRequest, obj: User | None = None
    ) -> bool:
        return _is_administrator(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _is_administrator(request)

    def has_change_permission(
        self, request: HttpRequest, obj: User | None = None
    ) -> bool:
        return _is_administrator(request)

    def has_delete_permission(
        self, request: HttpRequest, obj: User | None = None
    ) -> bool:
        is_own = obj is not None and obj.pk == request.user.pk
        return not is_own and _is_administrator(request)

    def save_model(
        self, request: HttpRequest, obj: User, form: Form, change: Any
    ) -> None:
        before = _described(User.objects.get(pk=obj.pk)) if change else None
        super().save_model(request, obj, form, change)
        if "role" in form.cleaned_data:
            roles.give(obj, form.cleaned_data["role"])
        after = _described(obj)
        if before is None:
            _record(request, "user.create", obj, after=after)
        elif form.changed_data:
            others = sorted({"email"} & set(form.changed_data))
            _record(
                request,
                "user.change",
                obj,
                before={
                    key: before[key] for key in before if before[key] != after[key]
                },
                after={key: after[key] for key in after if before[key] != after[key]}
                | dict.fromkeys(others, "changed"),
            )

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        _record(request, "user.delete", obj, before=_described(obj))
        super().delete_model(request, obj)

    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        with transaction.atomic():
            account = self.get_object(request, unquote(id))
            answer: HttpResponse = super().user_change_password(request, id, form_url)
            _record_password(request, account)
        return answer


def _is_administrator(request: HttpRequest) -> bool:
    """Whatever single permissions say."""
    return request.user.is_active and request.user.is_superuser


def _described(account: User) -> dict[str, Any]:
    """What the audit log says of an account: no more of a person than is needed."""
    return {
        "username": account.username,
        "role": roles.role_of(account) or "none",
        "active": account.is_active,
    }


def _record(
    request: HttpRequest,
    action: str,
    account: User,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    target = f"user {account.username}"
    actor = admin_pages.actor(request)
    audit.record(actor, action, target, before=before, after=after)


def _record_password(request: HttpRequest, account: User | None) -> None:
    """account: as it was before, if a password was changed since."""
    if account is None:
        return
    now = User.objects.get(pk=account.pk)
    if now.password != account.password:
        _record(request, "user.password", now, after={"password": "changed"})


@sensitive_post_parameters()
def _change_own_password(request: HttpRequest) -> HttpResponse:
    """Django's page, with its audit entry."""
    with transaction.atomic():
        account = User.objects.get(username=request.user.get_username())
        answer = admin.site.password_change(request)
        _record_password(request, account)
    return answer


# django-unfold takes these before Django's own.
admin.site.extra_urls = lambda: [  # type: ignore[attr-defined]  # likewise
    path(
        "password_change/",
        admin.site.admin_view(_change_own_password, cacheable=True),
        name="password_change",
    )
]
