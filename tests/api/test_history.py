"""`GET /api/events` (contract §3)."""

from datetime import datetime
from urllib.parse import quote

import pytest

from tests.support.client import Api, event, next_page

PATH = "/api/events"


def _fill(api: Api, count: int, **fields: object) -> list[int]:
    events = [event(api.id("a"), {"n": n}, **fields) for n in range(count)]
    answer = api.post("/api/events/batch", events).json
    assert answer["failed"] == 0
    return [result["seq"] for result in answer["results"]]


def _seqs(api: Api, query: str) -> list[int]:
    answer = api.get(f"{PATH}?{query}")
    assert answer.status == 200, answer.body
    return [found["seq"] for found in answer.json]


def test_an_event_is_read_as_it_was_sent(api: Api) -> None:
    sent = event(api.id("a"), {"x": 1}, eventId="one", timestamp=5, key="k", schema="s")
    seq = api.post(PATH, sent).json["seq"]
    (found,) = api.get(f"{PATH}?entity={api.id('a')}").json
    received = datetime.fromisoformat(found.pop("receivedAt"))
    assert received.utcoffset() is not None
    assert found == {**sent, "seq": seq}


def test_key_and_schema_are_left_out_when_the_event_has_none(api: Api) -> None:
    api.publish("a")
    (found,) = api.get(f"{PATH}?entity={api.id('a')}").json
    assert not {"key", "schema"} & set(found)


def test_the_newest_event_comes_first(api: Api) -> None:
    seqs = _fill(api, 10)
    assert _seqs(api, "limit=10") == seqs[::-1]
    assert _seqs(api, f"entity={api.id('a')}&limit=3") == seqs[:-4:-1]


def test_a_page_has_100_events_unless_it_is_told_otherwise(api: Api) -> None:
    seqs = _fill(api, 501)
    assert _seqs(api, f"namespace={api.space}") == seqs[:-101:-1]
    assert _seqs(api, f"namespace={api.space}&limit=500") == seqs[:0:-1]


def test_history_outlives_its_entity(api: Api) -> None:
    api.publish("a", x=1)
    api.ask("DELETE", f"/api/state/entities/{api.id('a')}")
    tombstone, first = api.get(f"{PATH}?entity={api.id('a')}").json
    assert first["payload"]["properties"] == {"x": 1}
    assert (tombstone["stream"], tombstone["source"]) == ("flux.deletions", "api")
    assert tombstone["payload"] == {
        "entity_id": api.id("a"),
        "properties": {"__deleted__": True},
    }


def test_filters_narrow_together(api: Api) -> None:
    one = _fill(api, 2, stream="one", source="x y")
    two = _fill(api, 2, stream="two", source="x y")
    three = _fill(api, 2, stream="two", source="Z")
    here = f"namespace={api.space}"
    assert _seqs(api, f"{here}&stream=one") == one[::-1]
    assert _seqs(api, f"{here}&stream=two") == [*three[::-1], *two[::-1]]
    assert _seqs(api, f"{here}&source={quote('x y')}") == [*two[::-1], *one[::-1]]
    assert _seqs(api, f"{here}&stream=two&source=Z") == three[::-1]
    assert _seqs(api, f"entity={api.id('a')}&stream=one") == one[::-1]
    assert _seqs(api, f"{here}&stream=tw") == []
    assert _seqs(api, f"entity={api.id('b')}") == []
    assert _seqs(api, f"entity={api.id('a')}&namespace=other") == []


def test_since_is_inclusive_and_until_exclusive(api: Api) -> None:
    seqs = [api.publish("a", n=n) for n in range(6)]
    times = [
        found["receivedAt"] for found in api.get(f"{PATH}?entity={api.id('a')}").json
    ][::-1]
    assert len(set(times)) == 6
    entity = f"entity={api.id('a')}"
    assert _seqs(api, f"{entity}&since={times[2]}") == seqs[:1:-1]
    assert _seqs(api, f"{entity}&until={times[2]}") == seqs[1::-1]
    assert _seqs(api, f"{entity}&since={times[2]}&until={times[4]}") == seqs[3:1:-1]
    assert _seqs(api, f"{entity}&since={times[4]}&until={times[2]}") == []
    assert _seqs(api, f"{entity}&since={times[2]}&limit=2") == seqs[:3:-1]


@pytest.mark.parametrize(
    ("text", "is_past"),
    [
        ("0001-01-01T00:00:00+23:59", True),
        ("2020-01-31t08:00:00z", True),
        ("2020-01-31 08:00:00+01:00", True),
        ("2020-01-31T08:00:00.123456789-08:00", True),
        ("9999-12-31T23:59:59-23:59", False),
    ],
)
def test_every_form_of_rfc_3339_is_understood(
    api: Api, text: str, *, is_past: bool
) -> None:
    seqs = _fill(api, 1)
    here = f"namespace={api.space}"
    assert _seqs(api, f"{here}&since={quote(text)}") == (seqs if is_past else [])
    assert _seqs(api, f"{here}&until={quote(text)}") == ([] if is_past else seqs)


def test_a_plus_sign_that_nobody_encoded_is_understood(api: Api) -> None:
    seqs = _fill(api, 1)
    since = "since=2020-01-31T08:00:00+01:00"
    assert _seqs(api, f"namespace={api.space}&{since}") == seqs


@pytest.mark.parametrize("scope", ["entity={space}/a", "namespace={space}"])
def test_paging_back_misses_nothing_and_repeats_nothing(api: Api, scope: str) -> None:
    seqs = _fill(api, 25)
    _fill_other(api, 25)
    path: str | None = f"{PATH}?{scope.format(space=api.space)}&limit=10"
    found: list[int] = []
    while path is not None and len(found) < 25:
        answer = api.get(path)
        found += [one["seq"] for one in answer.json]
        path = next_page(answer)
    assert found == seqs[::-1]


def _fill_other(api: Api, count: int) -> None:
    events = [event(f"{api.space}-other/a", {"n": n}) for n in range(count)]
    assert api.post("/api/events/batch", events).json["failed"] == 0


def test_the_last_page_of_an_entity_has_no_link(api: Api) -> None:
    _fill(api, 4)
    whole = api.get(f"{PATH}?entity={api.id('a')}&limit=4")
    assert len(whole.json) == 4
    assert next_page(whole) is None
    assert next_page(api.get(f"{PATH}?entity={api.id('a')}&limit=3")) is not None


def test_before_goes_back_from_a_place(api: Api) -> None:
    seqs = _fill(api, 5)
    assert _seqs(api, f"entity={api.id('a')}&before={seqs[3]}") == seqs[2::-1]
    assert _seqs(api, "before=1") == []
    assert _seqs(api, f"entity={api.id('a')}&before={(1 << 63) - 1}") == seqs[::-1]


def test_a_rare_match_is_found_by_following_short_pages(api: Api) -> None:
    (rare,) = _fill(api, 1, stream="rare")
    for _ in range(11):
        events = [event(f"{api.space}-many/{n}") for n in range(1_000)]
        assert api.post("/api/events/batch", events).json["failed"] == 0
    path: str | None = f"{PATH}?namespace={api.space}&stream=rare"
    found: list[int] = []
    pages = 0
    while path is not None and not found:
        answer = api.get(path)
        found += [one["seq"] for one in answer.json]
        path = next_page(answer)
        pages += 1
    assert found == [rare]
    assert pages == 2


def test_large_payloads_are_read_whole(api: Api) -> None:
    text = "x" * 900_000
    for _ in range(4):
        api.publish("a", text=text)
    found = api.get(f"{PATH}?entity={api.id('a')}").json
    sizes = [len(one["payload"]["properties"]["text"]) for one in found]
    assert sizes == [900_000] * 4
