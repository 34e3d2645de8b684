"""`POST /api/events/batch` (contract §1)."""

import pytest

from tests.api.cases.events import MANY
from tests.api.cases.values import FAIL_ALONE
from tests.support.client import Api, event

PATH = "/api/events/batch"
KEYS = {"eventId", "stream", "seq", "error"}


@pytest.mark.parametrize("is_bare", [False, True])
def test_events_are_stored_together_in_their_order(api: Api, *, is_bare: bool) -> None:
    events = [event(api.id("a"), {"n": n}) for n in range(50)]
    answer = api.post(PATH, events if is_bare else {"events": events})
    assert answer.status == 200
    assert (answer.json["successful"], answer.json["failed"]) == (50, 0)
    results = answer.json["results"]
    first = results[0]["seq"]
    assert [result["seq"] for result in results] == list(range(first, first + 50))
    assert all(set(result) == KEYS for result in results)
    assert all(result["error"] is None for result in results)
    found = api.entity("a").json
    assert (found["properties"], found["version"]) == ({"n": 49}, 50)


@pytest.mark.parametrize("name", FAIL_ALONE)
def test_a_bad_event_fails_alone(api: Api, name: str) -> None:
    bad, code = FAIL_ALONE[name]
    good = [
        b'{"stream":"s","source":"s","payload":{"entity_id":"%b","properties":{"a":1}}}'
        % api.id(part).encode()
        for part in ("first", "last")
    ]
    before = api.head()
    answer = api.post(PATH, b'{"events":[%b]}' % b",".join([good[0], bad, good[1]]))
    assert answer.status == 200
    first, failed, last = answer.json["results"]
    assert (answer.json["successful"], answer.json["failed"]) == (2, 1)
    assert (first["seq"], last["seq"]) == (before + 1, before + 2)
    assert {failed["eventId"], failed["stream"], failed["seq"]} == {None}
    assert failed["code"] == code
    assert failed["error"]


WRONG: dict[str, object] = {
    "a number": 1,
    "null": None,
    "a list": [],
    "an empty object": {},
    "a bad stream": event("x", stream="No!"),
    "a bad id": event("/x"),
    "no payload": {"stream": "s", "source": "s"},
    "a reserved namespace": event("flux-core/x"),
    "too many properties": event("x", MANY),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_item_fails_alone(api: Api, wrong: object) -> None:
    answer = api.post(PATH, [event(api.id("a")), wrong, event(api.id("b"))])
    errors = [result["error"] for result in answer.json["results"]]
    assert [error is None for error in errors] == [True, False, True]


def test_a_batch_of_bad_events_is_still_a_200(api: Api) -> None:
    before = api.head()
    answer = api.post(PATH, [1, 2])
    assert (answer.status, answer.json["failed"]) == (200, 2)
    assert api.head() == before


def test_a_duplicate_in_a_batch_is_a_success(api: Api) -> None:
    one = event(api.id("a"), {"x": 1}, eventId="one")
    answer = api.post(PATH, [one, one, event(api.id("a"), eventId="two")])
    first, again, other = answer.json["results"]
    assert answer.json["successful"] == 3
    assert again == {**first, "duplicate": True}
    assert other["seq"] == first["seq"] + 1


def test_an_entity_may_come_and_go_within_a_batch(api: Api) -> None:
    answer = api.post(
        PATH,
        [
            event(api.id("a"), {"x": 1}),
            event(api.id("a"), {"__deleted__": True}),
            event(api.id("a"), {"y": 1}),
            event(api.id("b"), {"x": 1}),
            event(api.id("b"), {"__deleted__": True}),
        ],
    )
    assert answer.json["successful"] == 5
    assert api.entity("a").json["properties"] == {"y": 1}
    assert api.entity("a").json["version"] == 1
    assert api.entity("b").status == 404


def test_an_entity_beyond_its_size_fails_alone(api: Api) -> None:
    text = "x" * 900_000
    events = [event(api.id("big"), {f"k{n}": text}) for n in range(6)]
    events.append(event(api.id("small"), {"x": 1}))
    answer = api.post(PATH, events)
    results = answer.json["results"]
    assert [result["seq"] is not None for result in results] == [
        *[True] * 4,
        False,
        False,
        True,
    ]
    assert results[4]["code"] == "entity_too_large"
    assert set(api.entity("big").json["properties"]) == {"k0", "k1", "k2", "k3"}


def test_an_entity_of_more_than_20_000_properties_is_refused(api: Api) -> None:
    events = [
        event(api.id("wide"), {f"k{n * 5000 + m}": 0 for m in range(5000)})
        for n in range(4)
    ]
    events.append(event(api.id("wide"), {"one-more": 0}))
    results = api.post(PATH, events).json["results"]
    assert [result.get("code") for result in results] == [
        *[None] * 4,
        "entity_too_large",
    ]
    alone = api.post("/api/events", event(api.id("wide"), {"one-more": 0}))
    assert (alone.status, alone.code) == (413, "entity_too_large")
    again = api.post("/api/events", event(api.id("wide"), {"k0": 1}))
    assert again.status == 200


def test_a_body_of_exactly_the_limit_is_taken_and_a_byte_more_is_not(api: Api) -> None:
    body = b'[{"stream":"s","source":"s","payload":{"entity_id":"%b","properties":{}}}]'
    body = (body % api.id("a").encode()).ljust(10 << 20)
    assert api.post(PATH, body).status == 200
    refused = api.post(PATH, body + b" ")
    assert (refused.status, refused.code) == (413, "payload_too_large")


SMALLEST = b'{"stream":"a","source":"b","payload":{"entity_id":"c","properties":{}}}'
MOST_ITEMS = (10 << 20) // len(SMALLEST)


@pytest.mark.parametrize("form", [b"[%b]", b'{"events":[%b]}'])
def test_more_items_than_events_could_be_are_refused_as_a_whole(
    api: Api, form: bytes
) -> None:
    refused = api.post(PATH, form % b",".join([b"1"] * (MOST_ITEMS + 1)))
    assert (refused.status, refused.code) == (413, "payload_too_large")
    assert str(MOST_ITEMS) in refused.json["error"]
    taken = api.post(PATH, form % b",".join([b"1"] * MOST_ITEMS))
    assert (taken.status, taken.json["failed"]) == (200, MOST_ITEMS)


def test_events_is_the_last_of_that_name_and_others_are_ignored(api: Api) -> None:
    one = (
        b'{"stream":"s","source":"s","payload":{"entity_id":"%b","properties":{"a":1}}}'
        % api.id("a").encode()
    )
    body = b'{"x":{"events":[1]},"events":[1],"events":[%b],"y":"\\ud800"}' % one
    answer = api.post(PATH, body)
    assert [result["error"] for result in answer.json["results"]] == [None]
