"""What a batch may hold, whatever is wrong with it (contract §1)."""

import json
import tracemalloc

import pytest

from events import batch, endpoints, envelope
from events.batch import Faults, TooManyItems
from events.envelope import Event
from events.explain import InvalidEvent
from flux_project.errors import FluxError
from flux_project.reply import Reply

MOST = 20
# Texts that msgspec reads, and that it gives up on: both ways count alike.
ITEMS = {
    "numbers": b"1",
    "texts": b'",,[{\\"\\\\"',
    "lists": b"[1,2,[3,[4]],{}]",
    "objects": b'{"a":{"b":",","c":[1,2]},"d":[[],[]]}',
    "events": batch.SMALLEST_EVENT,
    "half a pair": b'"\\ud800"',
    "3,000 levels": b"[" * 3_000 + b"]" * 3_000,
}
FORMS = {
    "a list": b" [%b]",
    "events": b'{"events":[%b]}',
    "among others": b'{"x":[1,[2],{"events":[]}],"events" : [%b] ,"y":[]}',
    "beside a long list": b'{"x":[%b],"events":[%%b]}' % b",".join([b"1"] * 100),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("item", ITEMS.values(), ids=ITEMS)
def test_a_batch_has_so_many_items_and_no_more(form: bytes, item: bytes) -> None:
    fits = form % b" ,\n".join([item] * MOST)
    assert list(batch.texts(fits, most=MOST)) == [item] * MOST
    with pytest.raises(TooManyItems, match=f"more than {MOST} items"):
        batch.texts(form % b",".join([item] * (MOST + 1)), most=MOST)


def test_commas_inside_of_items_do_not_count() -> None:
    item = json.dumps({"a": [[1, 2], [3, [4]]] * MOST, "b": {"c": "," * MOST}}).encode()
    for end in (b"", b',"\\ud800"'):
        found = list(batch.texts(b"[%b,1%b]" % (item, end), most=MOST))
        assert found[:2] == [item, b"1"]


def test_no_event_is_smaller_than_the_smallest() -> None:
    event = envelope.parse(batch.SMALLEST_EVENT)
    assert (event.stream, event.source, event.entity_id) == ("a", "b", "c")
    smallest = batch.SMALLEST_EVENT
    for at in range(len(smallest)):
        with pytest.raises(FluxError):
            envelope.parse(smallest[:at] + smallest[at + 1 :])


def test_whatever_the_limit_of_bodies_is_events_never_are_too_many() -> None:
    for limit in (1 << 10, 1 << 16, 100_003):
        fit = (limit - 1) // (len(batch.SMALLEST_EVENT) + 1)
        body = b"[%b]" % b",".join([batch.SMALLEST_EVENT] * fit)
        assert len(body) <= limit
        for text in (body, body[:-1] + b" ]"):
            found = envelope.parse_batch(text, most=batch.most_items(limit))
            assert len(found) == fit
            assert all(isinstance(item, Event) for item in found)


def test_the_usual_way_counts_too() -> None:
    body = b"[%b]" % b",".join([batch.SMALLEST_EVENT] * (MOST + 1))
    assert len(envelope.parse_batch(body, most=MOST + 1)) == MOST + 1
    with pytest.raises(TooManyItems):
        envelope.parse_batch(body, most=MOST)
    text = b'{"stream":"a","source":"b","payload":{"entity_id":"c","properties":'
    told = text + b'{"payload":"payload","p":{"payload":1}}}}'
    found = envelope.parse_batch(b"[%b]" % b",".join([told] * MOST), most=MOST)
    assert all(isinstance(item, Event) for item in found)


BAD = [
    b"1",
    batch.SMALLEST_EVENT.replace(b'"a"', b'""'),
    b"1e999",
    b'"\\ud800"',
    b"[" * 70 + b"]" * 70,
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad[:12].decode())
def test_errors_that_say_the_same_are_one_and_keep_nothing(bad: bytes) -> None:
    first, again = envelope.parse_batch(b"[%b,%b]" % (bad, bad), most=MOST)
    assert isinstance(first, FluxError)
    assert first is again
    kept = first.__traceback__, first.__context__, first.__cause__
    assert kept == (None, None, None)
    with pytest.raises(FluxError) as alone:
        envelope.parse(bad)
    one = alone.value
    assert (type(one), one.message, one.field) == (
        type(first),
        first.message,
        first.field,
    )


def test_errors_that_differ_stay_apart() -> None:
    faults = Faults()
    said = [InvalidEvent("a"), InvalidEvent("a", field="x"), InvalidEvent("b")]
    assert [faults.bare(one) for one in said] == said
    again = [InvalidEvent("a"), InvalidEvent("a", field="x"), InvalidEvent("b")]
    assert all(faults.bare(b) is a for a, b in zip(said, again, strict=True))


@pytest.mark.parametrize("bad", [b"1", BAD[1]], ids=["numbers", "events"])
def test_what_is_bad_takes_little_memory(bad: bytes) -> None:
    many = 20_000
    body = b"[%b]" % b",".join([bad] * many)
    tracemalloc.start()
    reply = endpoints.publish_batch(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(reply, Reply)
    answer = json.loads(reply.body)
    assert (answer["failed"], len(answer["results"])) == (many, many)
    # Its text, what it was decoded to, and twice its part of the answer.
    assert peak / many < 600


def test_many_items_are_refused_before_they_are_made() -> None:
    body = b"[1%b]" % (b",1" * 500_000)
    tracemalloc.start()
    reply = endpoints.publish_batch(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(reply, Reply)
    assert reply.status == 413
    assert json.loads(reply.body)["code"] == "payload_too_large"
    assert peak < 3 * len(body)


@pytest.mark.parametrize("items", [1, 1_999, 2_000, 2_001, 4_000, 4_001])
def test_an_answer_is_whole_however_many_results_it_has(items: int) -> None:
    reply = endpoints.publish_batch(b"[1%b]" % (b",1" * (items - 1)))
    assert isinstance(reply, Reply)
    answer = json.loads(reply.body)
    assert (answer["successful"], answer["failed"]) == (0, items)
    assert (
        answer["results"]
        == [
            {
                "eventId": None,
                "stream": None,
                "seq": None,
                "error": "An event must be a JSON object.",
                "code": "invalid_event",
            }
        ]
        * items
    )
