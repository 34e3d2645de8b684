"""The accounts of the admin itself, in its theme.

Groups are left out: whoever may sign in sees the same pages.
"""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group, User
from unfold.admin import (  # type: ignore[import-untyped]  # it has no types
    ModelAdmin,
)
from unfold.forms import (  # type: ignore[import-untyped]  # likewise
    AdminPasswordChangeForm,
    UserChangeForm,
    UserCreationForm,
)

admin.site.index_title = "Overview"
admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class AccountAdmin(UserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]  # likewise
    """Django's pages for users, with django-unfold's forms."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_filter = ("is_active", "is_staff", "is_superuser")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password", "email")}),
        (
            "Rights",
            {"fields": ("is_active", "is_staff", "is_superuser", "user_permissions")},
        ),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
