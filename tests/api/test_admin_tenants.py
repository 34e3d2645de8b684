"""Namespaces and tokens in the admin: made, shown once, ended, and who did it."""

import logging

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from flux_project import roles
from namespaces import tokens
from namespaces.models import AuditEntry, Namespace, Secret, Token
from tests.support.accounts import page, registered, send, signed_in, token_in

pytestmark = pytest.mark.usefixtures("database")

LIST = "/admin/namespaces/namespace/"


@pytest.fixture(autouse=True)
def auth_mode(settings: Settings) -> None:
    settings.FLUX_AUTH_ENABLED = True


@pytest.fixture
def operator(database: None) -> Client:
    return signed_in(roles.OPERATOR, "olga")


def newest_entry() -> AuditEntry:
    return AuditEntry.objects.order_by("-id")[0]


def entry(action: str) -> AuditEntry:
    """The newest entry, which is about this and was made by the operator."""
    found = newest_entry()
    assert found.action == action
    assert (found.actor, found.channel) == ("user olga", "admin")
    assert found.address == "192.0.2.7"
    return found


def test_a_new_namespace_has_a_name_proposed_and_its_token_shown(
    operator: Client,
) -> None:
    form = page(operator, f"{LIST}add/")
    proposed = form.split('name="name" value="')[1].split('"')[0]
    assert proposed.count("-") >= 1
    text = token_in(send(operator, f"{LIST}add/", status=200, name=proposed))
    secret = Secret.objects.get(digest=tokens.digest_of(text))
    assert secret.token.namespace.name == proposed
    assert entry("namespace.create").target == proposed


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Dawn", "3 to 32 characters"),
        ("ab", "3 to 32 characters"),
        ("default", "reserved"),
        ("flux-core", "reserved"),
        ("dawn-coral", "is taken"),
        ("", "required"),
        ("x" * 33, "at most 32"),
        ("a\0bc", "Null characters"),
    ],
)
def test_a_name_that_cannot_be_is_refused_at_its_field(
    operator: Client, name: str, why: str
) -> None:
    registered("dawn-coral")
    text = send(operator, f"{LIST}add/", status=200, name=name)
    assert why in text.split('class="errorlist"')[1].split("</ul>")[0]
    assert Namespace.objects.count() == 1


def test_a_token_is_in_the_answer_that_made_it_and_nowhere_else(
    operator: Client, caplog: pytest.LogCaptureFixture
) -> None:
    registered("dawn-coral")
    with caplog.at_level(logging.DEBUG):
        answer = operator.post(
            f"{LIST}dawn-coral/tokens/add/",
            {"label": "porch", "scopes": ["publish", "delete"], "prefix": ""},
        )
    text = token_in(answer.content.decode())
    assert "no-store" in answer["Cache-Control"]
    assert not any(text in str(value) for _, value in answer.items())
    assert not any(text in cookie.value for cookie in answer.cookies.values())
    assert text not in caplog.text
    for session in Session.objects.all():
        assert text not in str(session.get_decoded())
    assert text not in everything_stored()
    assert text not in page(operator, f"{LIST}dawn-coral/change/")
    assert dict(entry("token.create").after or {})["scopes"] == ["publish", "delete"]


def everything_stored() -> str:
    """All that PostgreSQL holds, as text."""
    with connection.cursor() as cursor:
        found = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT t::text FROM "{table}" AS t')
            found += [row[0] for row in cursor.fetchall()]
    return "\n".join(found)


def test_a_token_has_what_was_chosen(operator: Client) -> None:
    registered("dawn-coral")
    path = f"{LIST}dawn-coral/tokens/add/"
    send(
        operator,
        path,
        status=200,
        label="porch",
        scopes=["publish", "tokens"],
        prefix="dawn-coral/porch/",
        expires_in_seconds="86400",
    )
    token = Token.objects.get(label="porch")
    assert token.scopes == ["publish", "tokens"]
    assert token.prefix == "dawn-coral/porch/"
    assert token.expires_at is not None
    assert (token.expires_at - token.created_at).total_seconds() == pytest.approx(
        86_400, abs=60
    )


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"label": ""}, "required"),
        ({"label": "x" * 101}, "at most 100"),
        ({"scopes": []}, "at least one"),
        ({"scopes": ["everything"]}, "not one of the available choices"),
        ({"prefix": "other/x"}, "must begin with dawn-coral/"),
        ({"expires_in_seconds": "1"}, "not one of the available choices"),
    ],
)
def test_a_token_that_cannot_be_is_refused_at_its_field(
    operator: Client, fields: dict[str, object], why: str
) -> None:
    registered("dawn-coral")
    wanted: dict[str, object] = {"label": "porch", "scopes": ["publish"]}
    path = f"{LIST}dawn-coral/tokens/add/"
    text = send(operator, path, status=200, **wanted | fields)
    assert why in text.split('class="errorlist"')[1].split("</ul>")[0]
    assert Token.objects.count() == 1


def test_a_rotated_token_shows_its_new_secret_and_keeps_the_old_for_a_while(
    operator: Client,
) -> None:
    made = registered("dawn-coral")
    path = f"{LIST}dawn-coral/tokens/{made.token.id}/rotate/"
    assert "Rotate first token" in page(operator, path)
    text = token_in(send(operator, path, status=200, overlap_seconds="3600"))
    assert text != made.text
    old = Secret.objects.get(digest=tokens.digest_of(made.text))
    new = Secret.objects.get(digest=tokens.digest_of(text))
    assert old.valid_until is not None
    assert new.valid_until is None
    assert entry("token.rotate").after == {"overlap_seconds": 3600}


def test_a_revoked_token_is_asked_about_first_and_cannot_be_rotated_then(
    operator: Client,
) -> None:
    token = registered("dawn-coral").token
    path = f"{LIST}dawn-coral/tokens/{token.id}/"
    assert "cannot be undone" in page(operator, f"{path}revoke/")
    assert Token.objects.get().revoked_at is None
    send(operator, f"{path}revoke/", status=302)
    assert Token.objects.get().revoked_at is not None
    assert entry("token.revoke").target == f"dawn-coral/{token.id}"
    text = send(operator, f"{path}rotate/", status=200, overlap_seconds="0")
    assert "was revoked or has expired" in text
    assert Secret.objects.count() == 1


def test_a_namespace_is_suspended_with_a_reason_and_resumed(operator: Client) -> None:
    registered("dawn-coral")
    path = f"{LIST}dawn-coral/"
    assert "required" in send(operator, f"{path}suspend/", status=200, because="")
    assert Namespace.objects.get().suspended_at is None
    send(operator, f"{path}suspend/", status=302, because="It <b>floods</b>")
    told = entry("namespace.suspend").after
    assert told == {"suspended": True, "because": "It <b>floods</b>"}
    answer = operator.get(f"{path}change/").content.decode()
    assert "It &lt;b&gt;floods&lt;/b&gt;" in answer
    assert "<b>floods" not in answer
    assert "resume/" in answer
    send(operator, f"{path}resume/", status=302)
    assert Namespace.objects.get().suspended_at is None
    entry("namespace.resume")


def test_a_namespace_is_deleted_by_who_types_its_name(operator: Client) -> None:
    registered("dawn-coral")
    path = f"{LIST}dawn-coral/delete/"
    text = page(operator, path)
    assert "Its 1 usable token ends at once" in text
    assert "never given again" in text
    for typed in ("", "dawn", "DAWN-CORAL"):
        send(operator, path, status=200, typed=typed)
    assert Namespace.objects.get().deleted_at is None
    send(operator, path, status=302, typed="dawn-coral")
    assert Namespace.objects.get().deleted_at is not None
    entry("namespace.delete")
    gone = page(operator, f"{LIST}dawn-coral/change/")
    assert "Deleted on" in gone
    assert "tokens/add/" not in gone
    for what in ("suspend", "resume", "delete", "tokens/add"):
        page(operator, f"{LIST}dawn-coral/{what}/", status=404)


@pytest.mark.parametrize(
    "tail",
    [
        "never/change/",
        "never/suspend/",
        "never/tokens/add/",
        "dawn-coral/tokens/never/revoke/",
        "dawn-coral/tokens/never/rotate/",
        "dawn%00/change/",
    ],
)
def test_what_is_not_there_is_not_found(operator: Client, tail: str) -> None:
    registered("dawn-coral")
    page(operator, LIST + tail, status=404)
    assert operator.post(LIST + tail, {"because": "x"}).status_code in {404, 405}


def test_a_token_of_another_namespace_is_not_found(operator: Client) -> None:
    other = registered("merry-otter").token
    registered("dawn-coral")
    path = f"{LIST}dawn-coral/tokens/{other.id}/revoke/"
    send(operator, path, status=404)
    assert Token.objects.get(id=other.id).revoked_at is None


def test_the_list_is_searched_and_filtered(operator: Client) -> None:
    for name in ("dawn-coral", "merry-otter", "dawn-mill"):
        registered(name)
    send(operator, f"{LIST}dawn-mill/suspend/", status=302, because="x")
    assert names(page(operator, LIST)) == ["dawn-coral", "dawn-mill", "merry-otter"]
    assert names(page(operator, f"{LIST}?search=DAWN")) == ["dawn-coral", "dawn-mill"]
    assert names(page(operator, f"{LIST}?search=%25")) == []
    assert names(page(operator, f"{LIST}?search=%00dawn-m")) == ["dawn-mill"]
    assert names(page(operator, f"{LIST}?state=suspended")) == ["dawn-mill"]
    assert names(page(operator, f"{LIST}?state=deleted")) == []
    assert len(names(page(operator, f"{LIST}?state=x"))) == 3


def names(text: str) -> list[str]:
    rows = text.split('data-label="Name"><a href="')[1:]
    return [row.split("</a>")[0].split(">")[-1] for row in rows]


def test_the_list_is_paged_by_name(operator: Client) -> None:
    for number in range(60):
        registered(f"space-{number:02}")
    first = page(operator, LIST)
    assert names(first) == [f"space-{n:02}" for n in range(50)]
    assert "after=space-49" in first
    rest = page(operator, f"{LIST}?after=space-49")
    assert names(rest) == [f"space-{n:02}" for n in range(50, 60)]


def test_open_mode_says_so_and_makes_nothing(
    operator: Client, settings: Settings
) -> None:
    made = registered("dawn-coral")
    settings.FLUX_AUTH_ENABLED = False
    shown = f"{LIST}dawn-coral/change/"
    for path in (LIST, shown):
        text = page(operator, path)
        assert "open mode" in text
        assert "dawn-coral" in text
        assert "/add/" not in text
        assert "/rotate/" not in text
    rotate = f"{LIST}dawn-coral/tokens/{made.token.id}/rotate/"
    for path in (f"{LIST}add/", f"{LIST}dawn-coral/tokens/add/", rotate):
        assert "open mode" in page(operator, path, status=403)
        send(operator, path, status=403, name="other", label="x", scopes=["publish"])
    assert Secret.objects.count() == 1
    assert Namespace.objects.count() == 1


def test_a_form_without_its_csrf_token_changes_nothing(operator: Client) -> None:
    registered("dawn-coral")
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    for what in ("suspend", "delete", "tokens/add"):
        answer = strict.post(
            reverse("admin:namespaces_namespace_changelist") + f"dawn-coral/{what}/",
            {"because": "x", "typed": "dawn-coral", "label": "x", "scopes": "publish"},
        )
        assert answer.status_code == 403
    assert AuditEntry.objects.count() == 1
