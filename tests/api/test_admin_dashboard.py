"""The admin's first page: true numbers, soon, also when not everything answers."""

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.utils import timezone

from events import tempo
from flux_project import dashboard, pipeline, pool, roles
from flux_project.database import DatabaseUnavailable
from namespaces import tenancy
from namespaces.models import Usage
from state import feed, glance
from state.glance import Glance
from tests.support import session
from tests.support.accounts import TESTS, page, registered, signed_in
from tests.support.client import event
from tests.support.world import publish

UNKNOWN = "\N{EN DASH}"
NAMESPACES = "/admin/namespaces/namespace/"

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def viewer(database: None) -> Client:
    return signed_in(roles.VIEWER)


def tile(text: str, name: str) -> str:
    found = re.search(rf"<dt>{name}</dt><dd>(.*?)</dd>", text)
    assert found is not None, name
    return found[1]


def used(name: str, events: int, refused: int, hours_ago: int = 0) -> None:
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    Usage.objects.create(
        namespace=name,
        hour=hour - timedelta(hours=hours_ago),
        events=events,
        refused=refused,
    )


def tell_of_the_past(minutes_ago: dict[int, int]) -> int:
    """As if events had been recorded so many minutes ago: {seq: minutes}. The beginning
    of the running minute, in seconds since 1970."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM date_trunc('minute', now()))")
        now = int(cursor.fetchone()[0])
        cursor.execute(
            "ALTER TABLE events_event DISABLE TRIGGER events_event_no_change"
        )
        for seq, minutes in minutes_ago.items():
            cursor.execute(
                "UPDATE events_event SET recorded_at = date_trunc('minute', now())"
                " - %s * interval '1 minute' WHERE seq = %s",
                (minutes, seq),
            )
        cursor.execute("ALTER TABLE events_event ENABLE TRIGGER events_event_no_change")
    return now


def read_tempo() -> tempo.Tempo:
    with pool.connection() as opened:
        [answer] = pipeline.run(opened, [tempo.ASK])
        return tempo.read(answer)


def test_an_empty_flux_has_a_first_page(viewer: Client) -> None:
    text = page(viewer, "/admin/")
    assert tile(text, "Last hour") == "0"
    assert tile(text, "Entities") == "0"
    assert "None of 0 namespaces" in text
    assert "No namespace was refused anything" in text


def test_events_are_counted_by_the_minute_they_were_recorded_in() -> None:
    publish(*[event(f"a/{n}") for n in range(8)])
    now = tell_of_the_past({1: 300, 2: 60, 3: 50, 4: 50, 5: 30, 6: 2, 7: 2})
    found = read_tempo()
    counts = dict(found.minutes)
    assert found.head == 8
    assert len(counts) == 60
    assert [counts[now - 60 * ago] for ago in (50, 30, 2)] == [2, 1, 2]
    assert sum(counts.values()) == found.hour == 6
    starts = [at for at, _ in found.minutes]
    assert all(after - at == 60 for at, after in itertools.pairwise(starts))
    assert all(at % 60 == 0 for at in starts)


def test_the_rate_is_that_of_the_last_ten_seconds() -> None:
    assert read_tempo().per_second == 0
    publish(*[event(f"a/{n}") for n in range(30)])
    tell_of_the_past(dict.fromkeys(range(1, 11), 3))
    assert read_tempo().per_second == 2.0


def test_it_shows_who_did_most_and_who_was_refused(viewer: Client) -> None:
    for name in ("dawn-coral", "merry-otter", "quiet-mill"):
        registered(name)
    used("dawn-coral", 100, 7)
    used("dawn-coral", 23, 0, hours_ago=23)
    used("dawn-coral", 1_000, 500, hours_ago=24)
    used("merry-otter", 200, 0, hours_ago=3)
    tenancy.suspend("quiet-mill", TESTS, because="x")
    text = page(viewer, "/admin/")
    top = text.split('id="top"')[1].split("</section>")[0]
    assert re.findall(r">([a-z-]+)</a><span>([\d,]+)<", top) == [
        ("merry-otter", "200"),
        ("dawn-coral", "123"),
    ]
    limits = text.split('id="limits"')[1].split("Suspended")[0]
    assert re.findall(r">([a-z-]+)</a><span>([\d,]+)<", limits) == [("dawn-coral", "7")]
    suspended = text.split("Suspended")[1].split("</section>")[0]
    assert "quiet-mill" in suspended
    assert "namespace.suspend" in text


def test_the_page_of_a_namespace_shows_what_it_did(viewer: Client) -> None:
    registered("dawn-coral")
    publish(event("dawn-coral/a"), event("dawn-coral/b"))
    used("dawn-coral", 1_500, 20)
    used("dawn-coral", 10, 0, hours_ago=150)
    text = page(viewer, f"{NAMESPACES}dawn-coral/change/")
    assert tile(text, "Entities") == "2"
    assert tile(text, "Events, last 24 h") == "1,500"
    assert tile(text, "Refused, last 24 h") == "20"
    assert "seven days, 1,510 in all" in text
    assert ": 1,500 events</title>" in text
    assert ": 20 refused</title>" in text


def test_the_feed_s_place_and_connections_are_shown(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(*[event(f"a/{n}") for n in range(5)])
    seen = Glance(position=2, sockets=1_234, publishers=3, is_late=False)
    monkeypatch.setattr(glance, "take", lambda: seen)
    text = page(viewer, "/admin/")
    assert tile(text, "WebSockets") == "1,234"
    assert tile(text, "Publishers") == "3"
    assert tile(text, "Live feed") == "3 behind"


def test_a_late_feed_is_said_to_be_late(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late() -> None:
        raise feed.FeedUnavailable

    monkeypatch.setattr(feed, "check", late)
    text = page(viewer, "/admin/")
    assert tile(text, "Live feed") == "late"
    assert "Live updates are late" in text


def test_a_process_without_a_feed_says_that_it_does_not_know(viewer: Client) -> None:
    assert glance.take() is None
    assert tile(page(viewer, "/admin/"), "WebSockets") == UNKNOWN


@contextmanager
def locked(table: str) -> Iterator[None]:
    """Nobody can read it, as when something heavy is done to it."""
    url = session.database_url(session.DATABASE)
    with psycopg.connect(url) as other, other.transaction():
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


@pytest.mark.parametrize("table", ["namespaces_usage", "events_event"])
def test_a_database_that_does_not_answer_is_said_to_be_slow(
    viewer: Client, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "PATIENCE_SECONDS", 0.3)
    with locked(table):
        text = page(viewer, "/admin/")
    assert "does not answer in time" in text
    assert tile(text, "Entities") == UNKNOWN
    assert tile(text, "Events/s") == UNKNOWN
    assert "does not answer in time" not in page(viewer, "/admin/")


def test_a_page_that_the_database_does_not_answer_says_so(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered("dawn-coral")
    monkeypatch.setattr(pool, "connection", _refuse)
    for path in (NAMESPACES, f"{NAMESPACES}dawn-coral/change/"):
        answer = viewer.get(path)
        assert answer.status_code == 503
        assert "does not answer in time" in answer.content.decode()
        assert answer["Retry-After"] == answer["Refresh"] == "10"


@pytest.mark.parametrize("path", ["/admin/", NAMESPACES, "/admin/state/entity/"])
def test_a_database_that_is_away_is_no_bug(
    viewer: Client, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Not even who is logged in can be looked up."""

    def load(self: object) -> None:
        raise OperationalError

    monkeypatch.setattr(SessionStore, "load", load)
    answer = viewer.get(path)
    assert answer.status_code == 503
    assert "does not answer in time" in answer.content.decode()
    assert answer["Retry-After"] == "10"


@contextmanager
def _refuse(**given: object) -> Iterator[None]:
    raise DatabaseUnavailable
    yield
