"""Sign-in links: asked for by anyone, good once and for a quarter of an hour."""

import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import connection, connections
from sesame import tokens_v2  # type: ignore[import-untyped]  # it has no types

from namespaces import audit, issuing, owners, tenancy
from namespaces.grants import NamespaceSuspended
from namespaces.models import Attempt, AuditEntry, Namespace, Owner, Token
from namespaces.owners import TooManyLinks, UnusableLink
from namespaces.requests import Rotation, TokenWanted
from namespaces.rows import NamespaceNotFound
from tests.support import session
from tests.support.accounts import TESTS, registered
from tests.support.servers import wait_for

pytestmark = pytest.mark.usefixtures("database")

QUARTER_SECONDS = 900


@pytest.fixture
def ada(database: None) -> Owner:
    return Owner.objects.create(email="ada@example.org")


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """A link that is made now is looked at in so many seconds."""
    at = time.time() + seconds
    clock = SimpleNamespace(time=lambda: at)
    monkeypatch.setattr(tokens_v2, "time", clock)


def stored() -> list[tuple[object, ...]]:
    """What there is after somebody asked for a link, but for ids and times."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT task_name, args, status::text, queueing_lock, lock, attempts"
            " FROM procrastinate_jobs ORDER BY id"
        )
        jobs: list[tuple[object, ...]] = cursor.fetchall()
    return jobs + list(Attempt.objects.order_by("id").values_list("kind", "key"))


def test_a_link_works_until_it_is_a_quarter_of_an_hour_old(
    ada: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = owners.link_token(ada)
    later(monkeypatch, QUARTER_SECONDS - 5)
    assert owners.of_link(token) == ada
    later(monkeypatch, QUARTER_SECONDS + 5)
    with pytest.raises(UnusableLink):
        owners.of_link(token)
    with pytest.raises(UnusableLink):
        owners.enter(token)
    ada.refresh_from_db()
    assert ada.last_login is None


def test_a_link_that_is_used_ends_all_that_were_sent_before(ada: Owner) -> None:
    first, second = owners.link_token(ada), owners.link_token(ada)
    assert owners.enter(second) == ada
    for token in (first, second):
        with pytest.raises(UnusableLink):
            owners.of_link(token)
        with pytest.raises(UnusableLink):
            owners.enter(token)


def test_who_uses_a_link_while_another_does_finds_it_used(ada: Owner) -> None:
    token = owners.link_token(ada)
    url = session.database_url(session.DATABASE)
    with psycopg.connect(url) as other, ThreadPoolExecutor(1) as second:
        other.execute("UPDATE namespaces_owner SET last_login = now()")
        entering = second.submit(entered, token)
        with psycopg.connect(url, autocommit=True) as looking:
            wait_for(lambda: is_waiting(looking), what="the second one to wait")
        other.commit()
        assert entering.result(timeout=10) is None


def entered(token: str) -> Owner | None:
    """In a thread of its own, whose connection ends with it."""
    try:
        return owners.enter(token)
    except UnusableLink:
        return None
    finally:
        connections.close_all()


def is_waiting(looking: psycopg.Connection[Any]) -> bool:
    found = looking.execute(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    (count,) = found.fetchone() or (0,)
    return bool(count)


def test_a_link_of_another_kind_signs_nobody_in(ada: Owner) -> None:
    other = tokens_v2.create_token(ada, scope="something else")
    with pytest.raises(UnusableLink):
        owners.enter(other)


@pytest.mark.parametrize("token", ["", "\0", "é" * 30, "A" * 38, "_" * 38, "A" * 10**6])
def test_what_is_no_link_is_refused(ada: Owner, token: str) -> None:
    with pytest.raises(UnusableLink):
        owners.of_link(token)
    with pytest.raises(UnusableLink):
        owners.enter(token)


def test_what_is_too_long_is_not_even_parsed(
    ada: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parsed(*_: object, **__: object) -> None:
        pytest.fail("it was parsed")

    monkeypatch.setattr(owners, "parse_token", parsed)
    with pytest.raises(UnusableLink):
        owners.of_link("A" * (owners.MAX_TOKEN_CHARACTERS + 1))


def test_the_same_is_stored_for_who_is_known_and_who_is_not(ada: Owner) -> None:
    found = []
    for email in (ada.email, "eve@example.org"):
        owners.ask_for_link(email, address="192.0.2.7")
        found.append(repr(stored()).replace("ada@example.org", "eve@example.org"))
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE procrastinate_jobs, namespaces_attempt CASCADE")
    assert found[0] == found[1]
    assert "namespaces.send_link" in found[0]


def test_a_network_has_five_links_an_hour_sent_to_a_mailbox_however_written() -> None:
    for _ in range(5):
        owners.ask_for_link("ada@example.org", address="192.0.2.1")
    before = stored()
    with pytest.raises(TooManyLinks) as refused:
        owners.ask_for_link(" ADA@Example.ORG ", address="192.0.2.1")
    assert 0 < (refused.value.retry_after or 0) <= 3_600
    assert stored() == before
    owners.ask_for_link("ada@example.org", address="192.0.2.2")  # its owner's


def test_a_mailbox_gets_thirty_links_an_hour_from_anywhere() -> None:
    for number in range(30):
        owners.ask_for_link("ada@example.org", address=f"192.0.2.{number}")
    with pytest.raises(TooManyLinks):
        owners.ask_for_link("ada@example.org", address="192.0.2.99")


def test_a_network_asks_for_sixty_links_an_hour() -> None:
    for number in range(60):
        owners.ask_for_link(f"a{number}@example.org", address="2001:db8::1")
    before = stored()
    with pytest.raises(TooManyLinks):
        owners.ask_for_link("b@example.org", address="2001:db8::2")  # of its /64
    assert stored() == before  # and so that mailbox still has all of its five
    owners.ask_for_link("b@example.org", address="2001:db8:0:1::1")


WANTED = TokenWanted(label="porch")


def owned(name: str, owner: Owner) -> Token:
    """The first token of a new namespace of theirs."""
    made = registered(name)
    Namespace.objects.filter(name=name).update(owner=owner)
    return made.token


def test_the_flow_itself_refuses_who_does_not_own_a_namespace(ada: Owner) -> None:
    """Whatever a page may forget."""
    eve = Owner.objects.create(email="eve@example.org")
    token = owned("dawn-coral", ada)
    by = audit.owner(eve.email, "192.0.2.9")
    before = AuditEntry.objects.count()
    with pytest.raises(NamespaceNotFound):
        issuing.make("dawn-coral", WANTED, by, maker=eve)
    with pytest.raises(NamespaceNotFound):
        issuing.rotate("dawn-coral", token.id, Rotation(), by, maker=eve)
    with pytest.raises(NamespaceNotFound):
        issuing.revoke("dawn-coral", token.id, by, maker=eve)
    with pytest.raises(NamespaceNotFound):
        tenancy.delete("dawn-coral", by, owner=eve)
    assert AuditEntry.objects.count() == before
    issuing.revoke("dawn-coral", token.id, by, maker=ada)
    tenancy.delete("dawn-coral", by, owner=ada)


def test_the_flow_itself_makes_no_token_for_a_suspended_namespace(ada: Owner) -> None:
    token = owned("dawn-coral", ada)
    by = audit.owner(ada.email, "192.0.2.9")
    tenancy.suspend("dawn-coral", TESTS, because="It floods the log.")
    with pytest.raises(NamespaceSuspended, match="It floods the log"):
        issuing.make("dawn-coral", WANTED, by, maker=ada)
    with pytest.raises(NamespaceSuspended, match="It floods the log"):
        issuing.rotate("dawn-coral", token.id, Rotation(), by, maker=ada)
    issuing.revoke("dawn-coral", token.id, by, maker=ada)
    issuing.make("dawn-coral", WANTED, TESTS)  # an operator may
