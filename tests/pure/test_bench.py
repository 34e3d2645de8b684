"""The benchmark's load is what it says, and its verdicts follow from its figures."""

import json
import socket
import time
from collections.abc import Iterator
from itertools import islice

import pytest

from bench import listeners, plan, report, traffic
from bench.listeners import Counting, Fault, Listener, Timing
from bench.measure import Figure, Spread
from bench.plan import Plan
from bench.traffic import Order
from state import frames
from state.frames import Standing, Told


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


def planned(about: list[str], batch: int) -> Plan:
    return Plan(port=1, groups=[], about=about, batch=batch, window=1, seconds=1)


@pytest.mark.parametrize("batch", [1, 2])
def test_a_planned_request_is_as_long_as_its_head_says(batch: int) -> None:
    given = planned(["a/1", "a/2"], batch)
    request = plan.filled(
        plan.template(given, given.layouts[0]), plan.FIRST_READING + 17
    )
    head, body = split(request)
    assert f"content-length: {len(body)}".encode() in head
    said = json.loads(body)
    for one, entity_id in zip(said.get("events", [said]), ["a/1", "a/2"], strict=False):
        assert one["payload"]["entity_id"] == entity_id
        assert one["payload"]["properties"] == {"reading": plan.FIRST_READING + 17}


def test_events_are_about_the_planned_entities_in_turn() -> None:
    assert planned(["a", "b", "c"], 1).layouts == [["a"], ["b"], ["c"]]
    assert planned(["a"], 3).layouts == [["a", "a", "a"]]
    assert planned(["a", "b", "c", "d"], 2).layouts == [["a", "b"], ["c", "d"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?entity_id=a/1", ["a/1"]),
        ("?entity_id=a/3", []),
        ("?entity_id=*", ["a/1", "ab/2"]),
        ("?prefix=a", ["a/1", "ab/2"]),
        ("?prefix=ab", ["ab/2"]),
        ("?namespace=a", ["a/1"]),
    ],
)
def test_who_is_told_follows_from_the_query(query: str, found: list[str]) -> None:
    assert plan.wanted(query, {"a/1": 0, "ab/2": 0}) == found


def test_an_event_that_was_not_stored_anew_is_noticed() -> None:
    assert plan.seqs(b'{"seq":7}', events=1) == [7]
    assert plan.seqs(b'{"results":[{"seq":7},{"seq":8}]}', events=2) == [7, 8]
    for body in (
        b'{"seq":7,"duplicate":true}',
        b'{"results":[{"seq":7}]}',
        b'{"results":[{"seq":7},{"error":"x"}]}',
    ):
        with pytest.raises(ValueError, match="not all"):
            plan.seqs(body, events=2 if b"results" in body else 1)


SUBSCRIBED = frames.websocket(b'{"type":"subscribed","entity_id":"a/1","seq":1}')
METRICS = frames.websocket(b'{"type":"metrics_update","events":{"total":9}}')
PING = b"\x89\x00"


def told(seq: int, value: int = 10) -> bytes:
    effect = Standing("a/1", b'{"reading":%d}' % value)
    return Told(effect, seq=seq, recorded_at=1).websocket


class Peer:
    """The server's end of a listener's connection."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.line, other = socket.socketpair()

        def connect(port: int, address: str) -> tuple[socket.socket, bytes]:
            return other, SUBSCRIBED

        monkeypatch.setattr(listeners, "connect", connect)

    def say(self, listener: Listener, *parts: bytes) -> None:
        """Each part arrives by itself."""
        for part in parts:
            self.line.sendall(part)
            listener.hear()


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Peer]:
    made = Peer(monkeypatch)
    yield made
    made.line.close()


@pytest.fixture
def counting(peer: Peer) -> Iterator[Counting]:
    made = Counting(1, "?entity_id=a/1", stride=1)
    yield made
    made.close()


def whole(first: int, count: int) -> bytes:
    return b"".join(told(seq) for seq in range(first, first + count))


def test_frames_are_counted_however_they_are_cut(
    peer: Peer, counting: Counting
) -> None:
    stream = whole(2, 3) + METRICS + whole(5, 95) + PING + whole(100, 80)
    for size in (3, 100, 1_000, 5_000, len(stream)):
        peer.say(
            counting, *(stream[at : at + size] for at in range(0, len(stream), size))
        )
        assert (counting.frames, counting.last_seq) == (178, 179)
        counting.frames = counting.last_seq = 0
    assert peer.line.recv(1_000) == b"\x8a\x80\0\0\0\0" * 5


@pytest.mark.parametrize(
    "more",
    [whole(13, 5), whole(11, 5), told(12) + told(14), told(12) * 2],
    ids=["missing", "repeated", "missing inside", "repeated inside"],
)
def test_a_missing_or_repeated_frame_is_a_fault(
    peer: Peer, counting: Counting, more: bytes
) -> None:
    peer.say(counting, whole(2, 10))
    with pytest.raises(Fault, match="behind"):
        peer.say(counting, more)


def test_a_listener_that_does_not_keep_up_is_a_fault(
    peer: Peer, counting: Counting
) -> None:
    conflated = frames.websocket(b'{"type":"conflated","from_seq":2,"to_seq":9}')
    with pytest.raises(Fault, match="keep up"):
        peer.say(counting, told(2), conflated)


def test_delays_count_from_the_reading(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    timing = Timing(1, "?entity_id=a/1", began_ns=1_000)
    monkeypatch.setattr(time, "monotonic_ns", lambda: 9_001_000)
    peer.say(timing, told(2, 2_000_000), told(7, 4_000_000) + told(8, 8_000_000))
    assert timing.delays == [7.0, 5.0, 1.0]
    timing.close()
