"""The benchmark's load is what it says, and its verdicts follow from its figures."""

import json
from itertools import islice

import pytest

from bench import report, traffic
from bench.measure import Figure, Spread
from bench.traffic import Order


def order(kind: traffic.Kind, first: int = 0) -> Order:
    return Order(kind=kind, port=3000, connections=1, seconds=1, first=first)


def split(request: bytes) -> tuple[bytes, bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    return head, body


@pytest.mark.parametrize("kind", ["publish", "batch"])
def test_a_body_is_as_long_as_its_head_says(kind: traffic.Kind) -> None:
    for request in islice(traffic.requests(order(kind, first=998)), 3):
        head, body = split(request)
        assert f"content-length: {len(body)}".encode() in head


def test_the_text_of_an_event_follows_from_its_number() -> None:
    asked = order("publish", first=41)
    bodies = [split(request)[1] for request in islice(traffic.requests(asked), 2)]
    assert bodies[1].endswith(traffic.payload(asked, 42) + b"}")
    payload = json.loads(bodies[1])["payload"]
    entity = traffic.entity_of(42, asked.entities)
    assert payload["entity_id"] == traffic.entity_id("bench", entity)
    assert payload["properties"]["reading"] % 1_000_000 == 42


def test_a_batch_holds_the_next_thousand_events() -> None:
    asked = order("batch")
    second = list(islice(traffic.requests(asked), 2))[1]
    events = json.loads(split(second)[1])["events"]
    readings = [event["payload"]["properties"]["reading"] for event in events]
    assert [reading % 1_000_000 for reading in readings] == list(range(1_000, 2_000))


@pytest.mark.parametrize("entities", [1_000, 22_000, 100_000])
def test_as_many_events_as_entities_touch_each_one_once(entities: int) -> None:
    touched = {traffic.entity_of(number, entities) for number in range(7, entities + 7)}
    assert touched == set(range(entities))


def test_an_answer_says_where_its_events_went() -> None:
    said = [{"seq": seq, "error": None} for seq in range(5, 5 + traffic.BATCH_EVENTS)]
    body = json.dumps({"failed": 0, "results": said}).encode()
    placed = traffic.places(order("batch", first=100), 2, body)
    assert placed[0] == (2_100, 5)
    assert placed[-1] == (2_100 + 999, 5 + 999)


@pytest.mark.parametrize(
    ("failed", "seqs"),
    [(1, range(1_000)), (0, range(999)), (0, [*range(999), 1_000])],
    ids=["failed", "short", "gap"],
)
def test_a_batch_that_went_wrong_is_noticed(failed: int, seqs: list[int]) -> None:
    body = json.dumps({"failed": failed, "results": [{"seq": seq} for seq in seqs]})
    with pytest.raises(ValueError, match="batch"):
        traffic.places(order("batch"), 0, body.encode())


def test_a_duplicate_is_no_new_event() -> None:
    with pytest.raises(ValueError, match="new event"):
        traffic.places(order("publish"), 0, b'{"seq": 1, "duplicate": true}')


def figure(median: float, *, target: float | None, is_upper_bound: bool) -> Figure:
    return Figure(
        name="x",
        what="x",
        value=Spread(1_000, 900, 1_100),
        unit="events/s",
        relative=Spread(median, median, median),
        relative_unit="R",
        target=target,
        is_upper_bound=is_upper_bound,
    )


def test_the_verdict_is_the_median_against_the_bound() -> None:
    assert figure(0.6, target=0.6, is_upper_bound=False).is_met is True
    assert figure(0.59, target=0.6, is_upper_bound=False).is_met is False
    assert figure(1.6, target=1.5, is_upper_bound=True).is_met is False
    assert figure(1.6, target=None, is_upper_bound=True).is_met is None


def test_a_spread_shows_its_ends() -> None:
    assert report.spread(Spread.of([3, 1, 2])) == "2.00 (1.00-3.00)"
    assert report.bound(figure(1, target=0.6, is_upper_bound=False)) == "≥ 0.6 R"
