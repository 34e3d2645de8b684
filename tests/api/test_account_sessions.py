"""An owner's session beside an admin's login, and what ends it."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from pytest_django.fixtures import Settings

from flux_project import roles
from namespaces import owners
from namespaces.models import Owner
from tests.support.accounts import page, send, signed_in

pytestmark = pytest.mark.usefixtures("database")

ACCOUNT = "/account"
SIGN_IN = f"{ACCOUNT}/sign-in"


@pytest.fixture(autouse=True)
def auth_mode(settings: Settings) -> None:
    settings.FLUX_AUTH_ENABLED = True


@pytest.fixture
def ada(database: None) -> Owner:
    return Owner.objects.create(email="ada@example.org")


def enter(client: Client, owner: Owner) -> None:
    send(client, SIGN_IN, status=303, token=owners.link_token(owner))


def test_an_admins_login_outlives_an_owners_coming_and_going(ada: Owner) -> None:
    client = signed_in(roles.OPERATOR)
    keys = [client.session.session_key]
    enter(client, ada)
    keys.append(client.session.session_key)
    assert "ada@example.org" in page(client, ACCOUNT)
    page(client, "/admin/")
    send(client, f"{ACCOUNT}/sign-out", status=303)
    keys.append(client.session.session_key)
    assert "Send me a link" in page(client, ACCOUNT)
    page(client, "/admin/")
    assert len(set(keys)) == 3
    # A key that was left behind opens nothing.
    assert [one.session_key for one in Session.objects.all()] == keys[2:]


def test_signing_out_leaves_no_session_behind(ada: Owner) -> None:
    client = Client()
    enter(client, ada)
    assert Session.objects.count() == 1
    send(client, f"{ACCOUNT}/sign-out", status=303)
    assert Session.objects.count() == 0
    send(client, f"{ACCOUNT}/sign-out", status=303)  # again changes nothing


def test_a_session_whose_owner_is_gone_is_nobodys(ada: Owner) -> None:
    client = Client()
    enter(client, ada)
    ada.delete()
    assert "Send me a link" in page(client, ACCOUNT)


@pytest.mark.parametrize("value", [None, "1", [1], "' OR 1=1", 2**70])
def test_a_session_that_names_no_owner_is_nobodys(ada: Owner, value: object) -> None:
    client = Client()
    enter(client, ada)
    session = client.session
    session["owner"] = value
    session.save()
    assert "Send me a link" in page(client, ACCOUNT)


def test_a_session_ends_by_itself(ada: Owner) -> None:
    client = Client()
    enter(client, ada)
    (kept,) = Session.objects.all()
    kept.expire_date -= timedelta(hours=10)
    kept.save()
    assert "Send me a link" in page(client, ACCOUNT)


def test_an_admin_is_no_owner_and_an_owner_no_admin(ada: Owner) -> None:
    admin, owner = signed_in(roles.OPERATOR), Client()
    enter(owner, ada)
    assert "Send me a link" in page(admin, ACCOUNT)
    page(owner, "/admin/", status=302)
