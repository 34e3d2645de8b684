"""Who may come in where: every page and action of the admin, for every role.

The pages are those that are registered, so a new one is among them.
"""

from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import NoReverseMatch, reverse
from pytest_django.fixtures import Settings

from flux_project import roles
from flux_project.admin_pages import PagesAdmin
from namespaces.models import AuditEntry, Namespace, Purchase, Token
from tests.support import purchases
from tests.support.accounts import account, page, registered, signed_in

pytestmark = pytest.mark.usefixtures("database")

READING = (
    "admin:namespaces_auditentry_changelist",
    "admin:events_event_changelist",
    "admin:state_entity_changelist",
)
OF_USERS = ("admin:auth_user_changelist", "admin:auth_user_add")


@pytest.fixture(autouse=True)
def auth_mode(settings: Settings) -> None:
    settings.FLUX_AUTH_ENABLED = True


def pages() -> Iterator[tuple[str, str, bool]]:
    """(address, permission, whether it takes a POST) of every page of ours."""
    token = registered("dawn-coral").token
    bought = purchases.row(state=Purchase.State.PAID)
    for model, found in admin.site._registry.items():
        one_of_it = bought.id if model is Purchase else "dawn-coral"
        known: tuple[list[str], ...] = ([one_of_it, token.id], [one_of_it], [])
        for one in found.pages if isinstance(found, PagesAdmin) else ():
            name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{one.name}"
            yield _reverse(name, known), one.permission, one.changes


def _reverse(name: str, known: tuple[list[str], ...]) -> str:
    for arguments in known:
        try:
            return reverse(name, args=arguments)
        except NoReverseMatch:
            continue
    raise AssertionError(name)


def unchanged() -> bool:
    """Whether nothing happened but the registration that the tests made."""
    namespace = Namespace.objects.get()
    is_as_made = namespace.suspended_at is None and namespace.deleted_at is None
    is_as_made &= Purchase.objects.get().state == Purchase.State.PAID
    tokens = Token.objects.filter(revoked_at=None).count()
    return is_as_made and tokens == 1 and AuditEntry.objects.count() == 1


def test_a_viewer_reads_every_page_and_changes_nothing() -> None:
    client = signed_in(roles.VIEWER)
    for path, permission, _ in pages():
        is_reading = ".view_" in permission
        assert client.get(path).status_code == (200 if is_reading else 403), path
        sent = {"typed": "dawn-coral", "because": "x"}
        assert client.post(path, sent).status_code in {403, 405}
    assert unchanged()


def test_an_operator_comes_in_everywhere_but_to_the_users() -> None:
    client = signed_in(roles.OPERATOR)
    for path, _, takes_post in pages():
        assert client.get(path).status_code == 200, path
        if not takes_post:
            assert client.post(path).status_code == 405, path
    for name in OF_USERS:
        page(client, reverse(name), status=403)


@pytest.mark.parametrize("role", [roles.VIEWER, roles.OPERATOR, roles.ADMINISTRATOR])
def test_every_role_reads_the_log_the_state_and_the_audit_log(role: str) -> None:
    client = signed_in(role)
    for name in (*READING, "admin:index"):
        page(client, reverse(name))
        assert client.post(reverse(name)).status_code in {200, 403, 405}


def test_an_administrator_comes_in_everywhere() -> None:
    client = signed_in(roles.ADMINISTRATOR)
    for path, _, _ in pages():
        assert client.get(path).status_code == 200, path
    for name in OF_USERS:
        page(client, reverse(name))


def test_who_has_no_role_sees_nothing() -> None:
    someone = account(roles.NONE)
    someone.is_staff = True
    someone.save()
    client = Client()
    client.force_login(someone)
    for path, _, _ in pages():
        assert client.get(path).status_code == 403, path
        assert client.post(path).status_code in {403, 405}, path
    for name in (*READING, *OF_USERS):
        page(client, reverse(name), status=403)
    text = page(client, reverse("admin:index"))
    assert "Your account has no role" in text
    assert "dawn-coral" not in text
    assert unchanged()


def test_strangers_are_asked_to_log_in() -> None:
    client = Client()
    for path, _, _ in pages():
        for answer in (client.get(path), client.post(path)):
            assert answer.status_code == 302, path
            assert answer["Location"].startswith("/admin/login/")
    for name in (*READING, *OF_USERS, "admin:index"):
        assert client.get(reverse(name)).status_code == 302
    assert unchanged()


def test_a_role_that_is_taken_away_is_gone_with_the_next_request() -> None:
    someone = account(roles.OPERATOR)
    client = Client()
    client.force_login(someone)
    path = reverse("admin:namespaces_namespace_changelist")
    page(client, path)
    roles.give(someone, roles.NONE)
    assert client.get(path).status_code == 302
    roles.give(someone, roles.VIEWER)
    page(client, path)
    page(client, reverse("admin:namespaces_namespace_add"), status=403)


def test_a_single_permission_does_not_open_the_users() -> None:
    someone = account(roles.OPERATOR)
    someone.user_permissions.set(Permission.objects.filter(codename__endswith="_user"))
    client = Client()
    client.force_login(someone)
    for name in OF_USERS:
        page(client, reverse(name), status=403)
    assert "Users" not in page(client, reverse("admin:index"))


def test_roles_permit_what_their_names_say() -> None:
    viewer, operator = roles.permitted("viewer"), roles.permitted("operator")
    assert "namespaces.view_token" in viewer
    assert not [one for one in viewer if ".view_" not in one]
    assert viewer < operator
    assert "namespaces.delete_namespace" in operator
    withheld = ("auth.", "axes.", "sessions.", "admin.", "procrastinate.")
    assert not [one for one in operator if one.startswith(withheld)]
    assert roles.permitted("owner") == frozenset()


def test_an_account_that_is_not_active_has_no_rights() -> None:
    someone = account(roles.OPERATOR)
    assert someone.has_perm("namespaces.view_token")
    someone.is_active = False
    assert not roles.RoleBackend().get_group_permissions(someone)
    assert not someone.has_perm("namespaces.view_token")
