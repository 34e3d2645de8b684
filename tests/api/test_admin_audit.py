"""The audit log in the admin: newest first, by key, readable, and never changed."""

import re

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client

from flux_project import pool, roles
from namespaces import audit, trail
from namespaces.audit import Actor
from tests.support.accounts import page, signed_in

pytestmark = pytest.mark.usefixtures("database")

LOG = "/admin/namespaces/auditentry/"
OLGA = Actor("user olga", "admin", "192.0.2.7")


@pytest.fixture
def viewer(database: None) -> Client:
    return signed_in(roles.VIEWER)


def record(count: int, action: str = "token.create", target: str = "a/b") -> None:
    with transaction.atomic():
        for _ in range(count):
            audit.record(OLGA, action, target, before={"n": 1}, after={"n": 2})


def ids(text: str) -> list[int]:
    return [int(key) for key in re.findall(r"/auditentry/(\d+)/change/", text)]


def older(text: str) -> str | None:
    found = re.search(r'href="([^"]+)" rel="next"', text)
    return found[1] if found else None


def test_it_is_paged_back_by_id(viewer: Client) -> None:
    record(120)
    text, seen = page(viewer, LOG), []
    while True:
        seen.append(ids(text))
        link = older(text)
        if link is None:
            break
        text = page(viewer, LOG + link)
    assert seen == [
        list(range(120, 70, -1)),
        list(range(70, 20, -1)),
        list(range(20, 0, -1)),
    ]


def test_it_is_filtered_by_action_and_searched_by_who_and_what(viewer: Client) -> None:
    record(1, "token.create", "dawn-coral/x")
    record(1, "namespace.delete", "merry-otter")
    record(1, "token.create", "Dawn-mill/y")
    assert ids(page(viewer, f"{LOG}?action=token.create")) == [3, 1]
    assert ids(page(viewer, f"{LOG}?search=dawn-")) == [3, 1]
    assert ids(page(viewer, f"{LOG}?search=OLGA&action=namespace.delete")) == [2]
    assert ids(page(viewer, f"{LOG}?search=%25")) == []
    assert "No entry matches" in page(viewer, f"{LOG}?search=nobody")


def test_a_search_looks_at_a_window_and_goes_on_behind_it(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "WINDOW", 10)
    record(1, target="the first")
    record(25, target="others")
    text = page(viewer, f"{LOG}?search=first")
    assert ids(text) == []
    hops = 0
    while link := older(text):
        text, hops = page(viewer, LOG + link), hops + 1
    assert ids(text) == [1]
    assert hops == 2


def test_before_and_after_are_readable(viewer: Client) -> None:
    with transaction.atomic():
        audit.record(
            OLGA,
            "config.change",
            "runtime config",
            before={"rate": 10_000, "on": True},
            after={"rate": 20_000, "on": False, "note": "<script>alert(1)</script>"},
        )
    answer = viewer.get(f"{LOG}1/change/").content.decode()
    for cell in ("10,000", "20,000", "yes", "no", "user olga", "192.0.2.7"):
        assert f">{cell}</" in answer
    assert "<script>alert" not in answer
    assert "<script>alert" not in viewer.get(LOG).content.decode()


@pytest.mark.parametrize("query", ["before=x", "before=-1", "before=" + "9" * 30])
def test_a_place_that_is_none_is_answered_with_a_sentence(
    viewer: Client, query: str
) -> None:
    assert "must be the number" in page(viewer, f"{LOG}?{query}", status=400)


@pytest.mark.parametrize("key", ["0", "7", "x", "9" * 30])
def test_an_entry_that_is_not_there(viewer: Client, key: str) -> None:
    page(viewer, f"{LOG}{key}/change/", status=404)


def test_nobody_changes_an_entry() -> None:
    record(1)
    client = Client()
    client.force_login(User.objects.create_superuser("ada"))
    for path in (LOG, f"{LOG}1/change/"):
        assert client.post(path, {"action": "delete_selected"}).status_code == 403
    for tail in ("add/", "1/delete/", "1/history/"):
        assert client.get(LOG + tail).status_code == 404


def test_no_page_scans_or_counts_the_log() -> None:
    """Its plan walks the primary key, whatever the filter."""
    record(50)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE namespaces_auditentry")
    given = {"before": 9, "window": 5, "limit": 3, "action": "x", "search": "y"}
    with pool.connection() as session, session.transaction():
        session.execute("SET LOCAL enable_seqscan = off")
        plan = session.execute(f"EXPLAIN {trail._PAGE}", given).fetchall()
    text = "\n".join(row[0] for row in plan)
    assert "namespaces_auditentry_pkey" in text
    assert "Seq Scan" not in text
