"""How an event reads as frames, and how many of them fold into few."""

import json

import pytest

from flux_project.errors import Invalid
from state import frames
from state.batch import Batch
from tests.support.told import decoded, told


def test_each_property_is_a_frame_and_all_but_the_last_say_more() -> None:
    event = told(7, "a/b", {"properties": {"x": 1, "y": None}, "unset": ["z"]})
    common = {"type": "state_update", "entity_id": "a/b", "seq": 7}
    common["timestamp"] = "2025-11-25T10:00:00.123456Z"
    assert decoded(event.texts) == [
        {**common, "property": "z", "value": None, "removed": True, "more": True},
        {**common, "property": "x", "value": 1, "more": True},
        {**common, "property": "y", "value": None},
    ]
    assert event.count == 3


def test_values_keep_their_very_text() -> None:
    for value in ("1.10", "123456789012345678901234567890", "1e2", '"\\u00e9"'):
        [text] = told(1, "a", f'{{"properties":{{"x":{value}}}}}').texts
        assert b'"value":%b,' % value.encode() in text


def test_a_tombstone_is_one_frame_whatever_else_it_says() -> None:
    event = told(3, "a", {"properties": {"__deleted__": True, "x": 1}, "unset": ["y"]})
    [frame] = decoded(event.texts)
    assert (frame["type"], frame["seq"]) == ("entity_deleted", 3)


def test_an_event_that_changes_nothing_touches() -> None:
    [frame] = decoded(told(3, "a", {"properties": {}}).texts)
    assert frame["type"] == "entity_touched"


def test_a_name_and_an_id_are_escaped() -> None:
    [frame] = decoded(told(1, 'a"\\é', {"properties": {'"}\n': 1}}).texts)
    assert (frame["entity_id"], frame["property"]) == ('a"\\é', '"}\n')


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 70_000])
def test_a_websocket_frame_says_its_length(size: int) -> None:
    framed = frames.websocket(b"x" * size)
    assert framed[0] == 0x81  # final, text
    short = framed[1]
    assert short < 128  # a server never masks
    if size < 126:
        assert (short, framed[2:]) == (size, b"x" * size)
    else:
        width = {126: 2, 127: 8}[short]
        assert int.from_bytes(framed[2 : 2 + width]) == size
        assert len(framed) == 2 + width + size


def test_the_id_of_a_server_sent_event_stands_on_the_last_frame_alone() -> None:
    event = told(9, "a", {"properties": {"x": 1, "y": 2}})
    first, second, rest = event.sse.split(b"\n\n")
    assert first.startswith(b"data: {")
    assert second.startswith(b"id: 9\ndata: {")
    assert rest == b""


def test_line_breaks_between_tokens_do_not_end_a_server_sent_event() -> None:
    event = told(9, "a", '{"properties":{"x":[1,\r\n\n2]}}')
    [block, rest] = event.sse.split(b"\n\n")
    assert rest == b""
    assert json.loads(block.partition(b"data: ")[2])["value"] == [1, 2]


def test_a_batch_is_the_same_bytes_for_all_and_counts_its_frames() -> None:
    events = [told(n, "a", {"properties": {"x": n, "y": n}}) for n in (1, 2)]
    batch = Batch(events)
    assert batch.websocket is batch.websocket
    assert batch.websocket == b"".join(map(frames.websocket, batch.texts))
    assert batch.sse == b"".join(event.sse for event in events)
    assert batch.count == len(batch.texts) == 4


def test_what_is_no_part_of_the_log_bears_no_ids() -> None:
    batch = Batch([told(5, "a", {"properties": {"x": 1}})], bears_ids=False)
    assert b"id: " not in batch.sse


def test_a_refusal_says_what_was_wrong() -> None:
    text = frames.refusal(Invalid("No.", field="since"), ref=None)
    assert json.loads(text) == {
        "type": "error",
        "error": "No.",
        "code": "invalid",
        "field": "since",
        "ref": None,
    }
