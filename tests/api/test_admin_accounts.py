"""The accounts of the admin: roles in plain words, an audit entry for each change."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import DatabaseError
from django.test import Client

from flux_project import roles
from namespaces import audit
from namespaces.models import AuditEntry
from tests.support.accounts import account, page, send, signed_in

pytestmark = pytest.mark.usefixtures("database")

USERS = "/admin/auth/user/"
SECRET = "a long password 4 bo"
NEXT = "another password 9 bo"


@pytest.fixture
def person(database: None) -> Client:
    return signed_in(roles.ADMINISTRATOR, "ada")


def make(person: Client, name: str, role: str) -> User:
    form = {"username": name, "password1": SECRET, "password2": SECRET, "role": role}
    send(person, f"{USERS}add/", status=302, **form)
    return User.objects.get(username=name)


def change(person: Client, user: User, **fields: Any) -> None:
    form: dict[str, Any] = {"username": user.username, "email": user.email}
    form |= {"is_active": "on", "role": roles.role_of(user)} | fields
    form = {name: value for name, value in form.items() if value is not None}
    send(person, f"{USERS}{user.pk}/change/", status=302, **form)


def entries() -> list[AuditEntry]:
    return list(AuditEntry.objects.order_by("id"))


@pytest.mark.parametrize("role", dict(roles.CHOICES))
def test_an_account_is_made_with_a_role(person: Client, role: str) -> None:
    bo = make(person, "bo", role)
    assert bo.is_staff == (role != roles.NONE)
    assert bo.is_superuser == (role == roles.ADMINISTRATOR)
    assert roles.role_of(bo) == role
    [entry] = entries()
    assert (entry.action, entry.target) == ("user.create", "user bo")
    assert (entry.actor, entry.address) == ("user ada", "192.0.2.7")
    assert entry.after == {"username": "bo", "role": role or "none", "active": True}


def test_a_role_is_changed_and_single_permissions_go(person: Client) -> None:
    bo = make(person, "bo", roles.OPERATOR)
    bo.user_permissions.set(Permission.objects.all()[:3])
    change(person, bo, role=roles.VIEWER)
    bo = User.objects.get(pk=bo.pk)
    assert roles.role_of(bo) == roles.VIEWER
    assert not bo.user_permissions.exists()
    entry = entries()[-1]
    assert entry.action == "user.change"
    assert (entry.before, entry.after) == ({"role": "operator"}, {"role": "viewer"})


def test_of_an_address_only_its_change_is_told(person: Client) -> None:
    bo = make(person, "bo", roles.VIEWER)
    change(person, bo, email="bo@example.org", is_active=None)
    entry = entries()[-1]
    assert entry.before == {"active": True}
    assert entry.after == {"active": False, "email": "changed"}
    assert "example.org" not in str(entry.after)


def test_saving_without_a_change_leaves_no_entry(person: Client) -> None:
    bo = make(person, "bo", roles.VIEWER)
    change(person, bo)
    assert [one.action for one in entries()] == ["user.create"]


def test_an_account_is_deleted_by_its_page(person: Client) -> None:
    bo = make(person, "bo", roles.VIEWER)
    send(person, f"{USERS}{bo.pk}/delete/", status=302, post="yes")
    assert not User.objects.filter(username="bo").exists()
    entry = entries()[-1]
    assert (entry.action, entry.target) == ("user.delete", "user bo")
    assert entry.before is not None


def test_accounts_are_not_deleted_in_bulk(person: Client) -> None:
    bo = make(person, "bo", roles.VIEWER)
    form = {"action": "delete_selected", "_selected_action": bo.pk, "post": "yes"}
    person.post(USERS, form)
    assert User.objects.filter(username="bo").exists()


def test_a_password_is_changed_and_stands_in_no_entry(person: Client) -> None:
    bo = make(person, "bo", roles.VIEWER)
    form = {"password1": NEXT, "password2": NEXT, "usable_password": "true"}
    send(person, f"{USERS}{bo.pk}/password/", status=302, **form)
    bo = User.objects.get(pk=bo.pk)
    assert bo.check_password(NEXT)
    entry = entries()[-1]
    assert (entry.action, entry.target) == ("user.password", "user bo")
    told = str(list(AuditEntry.objects.values()))
    assert not any(
        secret in told for secret in (SECRET, NEXT, bo.password, bo.password[-20:])
    )


def test_a_refused_password_leaves_no_entry(person: Client) -> None:
    bo = make(person, "bo", roles.VIEWER)
    form = {"password1": NEXT, "password2": "else", "usable_password": "true"}
    send(person, f"{USERS}{bo.pk}/password/", status=200, **form)
    assert [one.action for one in entries()] == ["user.create"]


def test_everyone_changes_their_own_password_with_an_entry() -> None:
    bo = account(roles.VIEWER, "bo")
    bo.set_password(SECRET)
    bo.save()
    client = Client(REMOTE_ADDR="192.0.2.9")
    client.force_login(bo)
    path = "/admin/password_change/"
    form = {"old_password": SECRET, "new_password1": NEXT, "new_password2": NEXT}
    send(client, path, status=200, **form | {"old_password": "wrong"})
    assert entries() == []
    send(client, path, status=302, **form)
    assert User.objects.get().check_password(NEXT)
    [entry] = entries()
    assert (entry.action, entry.actor) == ("user.password", "user bo")
    assert (entry.target, entry.address) == ("user bo", "192.0.2.9")
    assert client.get("/admin/").status_code == 200  # the session goes on


def test_nobody_takes_away_their_own_rights(person: Client) -> None:
    ada = User.objects.get()
    form = page(person, f"{USERS}{ada.pk}/change/")
    assert 'name="role"' not in form
    assert 'name="is_active"' not in form
    change(person, ada, role=roles.VIEWER, is_active=None)
    ada.refresh_from_db()
    assert ada.is_superuser
    assert ada.is_active
    assert person.post(f"{USERS}{ada.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_change_without_its_entry_does_not_happen(
    person: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    bo = make(person, "bo", roles.VIEWER)

    def fail(*args: object, **kwargs: object) -> None:
        raise DatabaseError

    monkeypatch.setattr(audit, "record", fail)
    form = {"password1": NEXT, "password2": NEXT, "usable_password": "true"}
    for path, fields in (
        (f"{USERS}{bo.pk}/password/", form),
        (f"{USERS}{bo.pk}/delete/", {"post": "yes"}),
        (f"{USERS}{bo.pk}/change/", {"username": "bo", "role": roles.OPERATOR}),
        (f"{USERS}add/", {"username": "cy", "role": "", **form}),
    ):
        with pytest.raises(DatabaseError):
            person.post(path, fields)
    bo = User.objects.get(username="bo")
    assert bo.check_password(SECRET)
    assert roles.role_of(bo) == roles.VIEWER
    assert not User.objects.filter(username="cy").exists()
