"""Sign-in links: asked for by anyone, good once and for a quarter of an hour."""

import time
from types import SimpleNamespace

import pytest
from django.db import connection
from sesame import tokens_v2  # type: ignore[import-untyped]  # it has no types

from namespaces import owners
from namespaces.models import Attempt, Owner
from namespaces.owners import TooManyLinks, UnusableLink

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


def test_a_mailbox_gets_five_links_an_hour_however_it_is_written() -> None:
    for number in range(5):
        owners.ask_for_link("ada@example.org", address=f"192.0.2.{number}")
    before = stored()
    with pytest.raises(TooManyLinks) as refused:
        owners.ask_for_link(" ADA@Example.ORG ", address="192.0.2.99")
    assert 0 < (refused.value.retry_after or 0) <= 3_600
    assert stored() == before


def test_a_network_asks_for_sixty_links_an_hour() -> None:
    for number in range(60):
        owners.ask_for_link(f"a{number}@example.org", address="2001:db8::1")
    before = stored()
    with pytest.raises(TooManyLinks):
        owners.ask_for_link("b@example.org", address="2001:db8::2")  # of its /64
    assert stored() == before  # and so that mailbox still has all of its five
    owners.ask_for_link("b@example.org", address="2001:db8:0:1::1")
