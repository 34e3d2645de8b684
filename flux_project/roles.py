"""What the accounts of the admin may do: their role says it.

A role is a group; what it permits is derived from its name, so no rows of permissions
have to be kept in step. (Single permissions from before there were roles count until
the account is given one.) Invariant: deny by default. Accounts, their sessions and
failed log-ins belong to no role: only administrators, Django's superusers, deal with
them.
"""

from functools import lru_cache

from django.apps import apps
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db.models import Model

ADMINISTRATOR = "administrator"
OPERATOR = "operator"
VIEWER = "viewer"
NONE = ""

# In plain words, for whoever gives a role.
CHOICES = (
    (VIEWER, "Viewer: sees everything but users"),
    (OPERATOR, "Operator: changes everything but users"),
    (ADMINISTRATOR, "Administrator: everything, users included"),
    (NONE, "None: cannot use these pages"),
)
# Django's own tables, those about who logs in, and the jobs, which name people.
_WITHHELD = frozenset(
    {"admin", "auth", "axes", "contenttypes", "procrastinate", "sessions"}
)
_NOTHING: frozenset[str] = frozenset()


class RoleBackend(ModelBackend):
    """Accounts with passwords, as Django has them, and the rights of their role."""

    def get_group_permissions(
        self, user_obj: User | AnonymousUser, obj: Model | None = None
    ) -> set[str]:
        if not user_obj.is_active or user_obj.is_anonymous or obj is not None:
            return set()
        names = user_obj.groups.values_list("name", flat=True)
        return set().union(*[permitted(name) for name in names])


@lru_cache
def permitted(role: str) -> frozenset[str]:
    """The permissions of a role, such as `namespaces.view_token`; an unknown one has
    none."""
    if role not in {OPERATOR, VIEWER}:
        return _NOTHING
    return frozenset(
        f"{model._meta.app_label}.{action}_{model._meta.model_name}"
        for model in apps.get_models()
        if model._meta.app_label not in _WITHHELD
        for action in model._meta.default_permissions
        if role == OPERATOR or action == "view"
    )


def role_of(user: User) -> str:
    """The one that counts: who is an administrator needs no other."""
    if user.is_superuser:
        return ADMINISTRATOR
    names = set(user.groups.values_list("name", flat=True))
    if not user.is_staff:
        return NONE
    return next((role for role in (OPERATOR, VIEWER) if role in names), NONE)


def give(user: User, role: str) -> None:
    """Makes this the only role of an account, which must have been saved before."""
    user.is_superuser = role == ADMINISTRATOR
    user.is_staff = role != NONE
    user.save(update_fields=["is_superuser", "is_staff"])
    user.groups.set(Group.objects.filter(name=role))
    user.user_permissions.clear()


def make_groups() -> None:
    """What the migration makes, where its rows were emptied."""
    for name in (OPERATOR, VIEWER):
        Group.objects.get_or_create(name=name)
