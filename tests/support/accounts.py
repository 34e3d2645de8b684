"""Accounts of the admin for tests, and what their clients are answered."""

import html
import re

from django.contrib.auth.models import User
from django.test import Client

from flux_project import roles
from namespaces import audit, tenancy
from namespaces.tenancy import Registered

TESTS = audit.Actor("the tests", "command")


def account(role: str, name: str = "") -> User:
    """An account with a role; it is called by it if not told else."""
    user = User.objects.create_user(name or role or "nobody")
    roles.give(user, role)
    return user


def signed_in(role: str, name: str = "") -> Client:
    client = Client(REMOTE_ADDR="192.0.2.7")
    client.force_login(account(role, name))
    return client


def page(client: Client, path: str, *, status: int = 200) -> str:
    """What a page says, with its entities read."""
    answer = client.get(path)
    assert answer.status_code == status, answer.content
    return html.unescape(answer.content.decode())


def send(client: Client, path: str, *, status: int, **fields: object) -> str:
    """What a form is answered. A field that is a list is sent several times."""
    answer = client.post(path, fields)
    assert answer.status_code == status, answer.content
    return html.unescape(answer.content.decode())


def registered(name: str) -> Registered:
    return tenancy.register(name, TESTS)


def token_in(text: str) -> str:
    """The one token that a page shows, however often."""
    found = set(re.findall(r"flux_[0-9a-z]{10}_[0-9A-Za-z]{49}", text))
    assert len(found) == 1, found
    return str(found.pop())
