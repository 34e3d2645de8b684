"""The admin shows events and entities: read-only, by key, with hostile values inert."""

import html
import re

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from events.models import Event
from flux_project.readonly import address
from state.models import Entity
from tests.support.client import event
from tests.support.world import publish

pytestmark = pytest.mark.usefixtures("database")

EVENTS = "/admin/events/event/"
ENTITIES = "/admin/state/entity/"
HOSTILE = [
    "<script>alert(1)</script>",
    "quote\"'it",
    "a/../b",
    "home/..",
    "日本/東京",
    "a%2Fb",
    "x/change",
    "home/_2F",
    "{{7*7}}{% url 'home' %}",
    " blank ",
    "?q=1#top",
    "back\\slash",
    "é" * 500,
]


@pytest.fixture
def person(database: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("ada"))
    return client


def page(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, answer.content
    return answer.content.decode()


def links(text: str, rel: str) -> list[str]:
    found = re.findall(rf'href="([^"]+)" rel="{rel}"', text)
    return [html.unescape(link) for link in found]


def seqs(text: str) -> list[int]:
    rows = re.findall(r'data-label="Seq"><a href="[^"]+">(\d+)</a>', text)
    return [int(seq) for seq in rows]


def ids(text: str) -> list[str]:
    found = re.findall(r'data-label="Id"><a href="[^"]+">(.*?)</a>', text, re.DOTALL)
    return [html.unescape(id_) for id_ in found]


def test_strangers_are_asked_to_sign_in() -> None:
    for path in (EVENTS, ENTITIES, address(Entity, "a"), address(Event, 1)):
        answer = Client().get(path)
        assert answer.status_code == 302
        assert answer["Location"].startswith("/admin/login/")


def test_whoever_may_view_entities_may_not_view_events() -> None:
    someone = User.objects.create_user("bo", is_staff=True)
    someone.user_permissions.add(Permission.objects.get(codename="view_entity"))
    client = Client()
    client.force_login(someone)
    page(client, ENTITIES)
    page(client, EVENTS, status=403)
    assert "Users" not in page(client, "/admin/")


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nobody_changes_anything(person: Client, method: str) -> None:
    publish(event("home/kitchen", {"t": 1}))
    for path in (EVENTS, ENTITIES, address(Event, 1), address(Entity, "home/kitchen")):
        answer = getattr(person, method)(path, {"action": "delete_selected"})
        assert answer.status_code == 403, path
    assert Event.objects.filter(seq=1).exists()
    assert Entity.objects.filter(id="home/kitchen").exists()


@pytest.mark.parametrize("tail", ["add/", "1/delete/", "1/history/", "1/"])
def test_there_is_no_page_that_could_change_anything(person: Client, tail: str) -> None:
    publish(event("1"))
    for path in (EVENTS, ENTITIES):
        assert person.get(path + tail).status_code == 404
        assert person.post(path + tail).status_code == 404


def test_an_empty_world_says_so(person: Client) -> None:
    assert "The log is empty" in page(person, EVENTS)
    assert "There is no entity yet" in page(person, ENTITIES)
    assert "Entities" in page(person, "/admin/")


def test_the_log_is_paged_back_and_forth_by_seq(person: Client) -> None:
    publish(*[event(f"n/{n}") for n in range(250)])
    newest = page(person, EVENTS)
    assert seqs(newest) == list(range(250, 150, -1))
    assert links(newest, "prev") == []
    middle = page(person, EVENTS + links(newest, "next")[0])
    assert seqs(middle) == list(range(150, 50, -1))
    last = page(person, EVENTS + links(middle, "next")[0])
    assert seqs(last) == list(range(50, 0, -1))
    assert links(last, "next") == []
    back = page(person, EVENTS + links(last, "prev")[0])
    assert seqs(back) == seqs(middle)
    assert seqs(page(person, EVENTS + links(back, "prev")[0])) == seqs(newest)


def test_one_entity_s_events_are_paged_back_and_forth(person: Client) -> None:
    publish(*[event(("odd", "even&=")[n % 2], {"n": n}) for n in range(500)])
    newest = page(person, f"{EVENTS}?entity=even%26%3D")
    assert seqs(newest) == list(range(500, 300, -2))
    older = page(person, EVENTS + links(newest, "next")[0])
    assert seqs(older) == list(range(300, 100, -2))
    oldest = page(person, EVENTS + links(older, "next")[0])
    assert seqs(oldest) == list(range(100, 0, -2))
    assert seqs(page(person, EVENTS + links(oldest, "prev")[0])) == seqs(older)
    assert seqs(page(person, EVENTS + links(older, "prev")[0])) == seqs(newest)
    assert "No event matches" in page(person, f"{EVENTS}?entity=nobody")


def test_the_log_is_entered_at_a_seq(person: Client) -> None:
    publish(*[event("a", {"n": n}) for n in range(5)])
    assert seqs(page(person, f"{EVENTS}?seq=3&entity=")) == [3, 2, 1]


@pytest.mark.parametrize(
    "query", ["seq=x", "seq=0", "before=-1", "after=9e9", f"seq={1 << 63}", "entity=/x"]
)
def test_a_question_that_is_none_is_answered_with_a_sentence(
    person: Client, query: str
) -> None:
    assert "must" in page(person, f"{EVENTS}?{query}", status=400)


@pytest.mark.parametrize("key", ["0", "2", "x", "1.0", "9" * 30, "_00"])
def test_an_event_that_is_not_there(person: Client, key: str) -> None:
    publish(event("a"))
    page(person, f"{EVENTS}{key}/change/", status=404)


def test_entities_are_paged_back_and_forth_by_id(person: Client) -> None:
    names = sorted(f"n/{n}" for n in range(130))
    publish(*[event(name) for name in names], event("m"), event("o"))
    path = f"{ENTITIES}?prefix=n/"
    first = page(person, path)
    assert ids(first) == names[:50]
    assert links(first, "prev") == []
    second = page(person, ENTITIES + links(first, "next")[0])
    assert ids(second) == names[50:100]
    third = page(person, ENTITIES + links(second, "next")[0])
    assert ids(third) == names[100:]
    assert links(third, "next") == []
    back = page(person, ENTITIES + links(third, "prev")[0])
    assert ids(back) == names[50:100]
    start = page(person, ENTITIES + links(back, "prev")[0])
    assert ids(start) == names[:50]
    assert links(start, "prev") == []


def test_a_prefix_is_no_pattern(person: Client) -> None:
    publish(event("a_b"), event("aXb"), event("A_b"), event("a%"), event("a_b/c"))
    assert ids(page(person, f"{ENTITIES}?prefix=a_b")) == ["a_b", "a_b/c"]
    assert ids(page(person, f"{ENTITIES}?prefix=a%25")) == ["a%"]
    assert ids(page(person, f"{ENTITIES}?prefix=%00a%25")) == ["a%"]


@pytest.mark.parametrize("entity_id", HOSTILE)
def test_every_id_has_its_page(person: Client, entity_id: str) -> None:
    publish(event(entity_id, {"v": entity_id}))
    listed = page(person, ENTITIES)
    assert ids(listed) == [entity_id]
    shown = page(person, address(Entity, entity_id))
    title = re.search(r'flux-title">(.*?)</h2>', shown, re.DOTALL)
    assert title is not None
    assert html.unescape(title[1]) == entity_id
    assert seqs(shown) == [1]
    assert address(Entity, entity_id) in html.unescape(page(person, address(Event, 1)))
    assert seqs(page(person, EVENTS)) == [1]


def test_hostile_values_are_inert_everywhere(person: Client) -> None:
    evil = "</pre></script><script>alert(1)</script><img src=x onerror='a()'>\"{{1}}"
    publish(
        event(evil, {evil: evil}, source=evil, key=evil, schema=evil, eventId=evil[:99])
    )
    for path in (ENTITIES, EVENTS, address(Entity, evil), address(Event, 1)):
        text = page(person, path)
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "&lt;script&gt;alert(1)" in text
    for query in (f"?entity={evil}", "?prefix=%3Cscript%3E", "?seq=%22%3E%3Cscript%3E"):
        text = person.get(EVENTS + query).content.decode()
        assert not re.search(r"<script>|<img src=x", text)


def test_numbers_and_texts_are_shown_exactly(person: Client) -> None:
    text = '{"b":1.10,"a":123456789012345678901234567890.50,"e":1e2,"s":"\\u0041é"}'
    head = '{"stream":"tests","source":"pytest","timestamp":8640000000000000,"payload":'
    publish(head + '{"entity_id":"x","properties":' + text + "}}")
    entity = html.unescape(page(person, address(Entity, "x")))
    assert '"b": 1.10,' in entity
    assert '"a": 123456789012345678901234567890.50,' in entity
    assert '"e": 100,' in entity
    assert text in entity  # the history has it as it was sent
    stored = html.unescape(page(person, address(Event, 1)))
    assert '"e": 1e2,' in stored
    assert '"s": "\\u0041é"' in stored
    assert stored.index('"b": 1.10') < stored.index('"a": 1234')
    assert "275760-09-13 00:00:00.000 UTC" in stored


def test_a_large_entity_does_not_burden_its_pages(person: Client) -> None:
    for part in range(4):
        publish(event("big", {f"p{part}": "x" * 1_000_000}))
    entity = page(person, address(Entity, "big"))
    assert "This is their beginning only" in entity
    assert 'href="/api/state/entities/big"' in entity
    stored = page(person, address(Event, 4))
    assert "This is its beginning only" in stored
    assert "/api/events?entity=big&amp;before=5&amp;limit=1" in stored
    listed = page(person, ENTITIES)
    assert "too large to show here" in listed
    for text in (entity, stored, listed, page(person, EVENTS)):
        assert len(text) < 200_000


def test_a_deleted_entity_keeps_its_history(person: Client) -> None:
    publish(event("a", {"n": 1}), event("a", {"__deleted__": True}))
    text = page(person, address(Entity, "a"))
    assert "it was deleted" in text
    assert seqs(text) == [2, 1]
    page(person, address(Entity, "never"), status=404)
    page(person, f"{ENTITIES}_00/change/", status=404)


def test_an_entity_s_history_goes_on_in_the_log(person: Client) -> None:
    publish(*[event("a&b", {"n": n}) for n in range(150)])
    text = page(person, address(Entity, "a&b"))
    assert seqs(text) == list(range(150, 50, -1))
    rest = page(person, links(text, "next")[0])
    assert seqs(rest) == list(range(50, 0, -1))


def test_django_itself_reads_neither_the_log_nor_the_state(person: Client) -> None:
    """Its lists would count them, and sort by what an address says."""
    publish(event("a"))
    paths = (EVENTS, ENTITIES, address(Event, 1), address(Entity, "a"), "/admin/")
    with CaptureQueriesContext(connection) as captured:
        for path in paths:
            page(person, path)
    asked = [query["sql"] for query in captured.captured_queries]
    assert asked
    assert not [sql for sql in asked if re.search("events_event|state_entity", sql)]


def test_an_address_cannot_ask_for_another_order_or_filter(person: Client) -> None:
    publish(event("a"), event("b"))
    wild = "?o=-3&payload__contains=x&source__regex=.*&all=&p=5&_facets=True&e=1"
    assert seqs(page(person, EVENTS + wild)) == [2, 1]
    assert ids(page(person, ENTITIES + wild)) == ["a", "b"]


def test_users_are_managed_here(person: Client) -> None:
    ada = User.objects.get(username="ada")
    assert "ada" in page(person, reverse("admin:auth_user_changelist"))
    form = page(person, reverse("admin:auth_user_change", args=[ada.pk]))
    assert 'name="email"' in form
    assert 'name="groups"' not in form
    page(person, reverse("admin:password_change"))
    page(person, reverse("admin:auth_user_add"))
