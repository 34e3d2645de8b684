"""`GET /api/stream`: the feed as Server-Sent Events (contract §5)."""

import pytest

from tests.support.client import Api, event
from tests.support.live import Stream, fence, heard
from tests.ws.conftest import Follow

UPDATES = {"state_update", "entity_touched", "entity_deleted"}


def by_id(stream: Stream) -> list[tuple[str, object, str | None]]:
    """(type, seq, id) of each frame."""
    return [
        (frame["type"], frame.get("seq"), found)
        for frame, found in zip(stream.frames, stream.ids, strict=True)
        if frame["type"] != "metrics_update"
    ]


def test_it_is_an_event_stream(api: Api, follow: Follow) -> None:
    stream = follow()
    headers = stream.response.headers
    assert headers["content-type"].startswith("text/event-stream")
    assert (
        "no-cache" in headers["cache-control"] or "no-store" in headers["cache-control"]
    )
    api.publish("a", x=1)
    elsewhere = f"lone-{api.space}"
    api.post("/api/events", event(elsewhere, {"y": 2}))
    fence(api, stream)
    assert heard(stream) == [(api.id("a"), "x", 1), (elsewhere, "y", 2)]


def test_the_final_frame_of_an_event_alone_has_its_seq_as_id(
    api: Api, follow: Follow
) -> None:
    stream = follow(f"?prefix={api.id('')}")
    first = api.publish("a", x=1, y=2, z=3)
    second = api.publish("a")
    third = api.publish("a", __deleted__=True)
    stream.wait_for_seq(third)
    assert by_id(stream)[1:] == [
        ("state_update", first, None),
        ("state_update", first, None),
        ("state_update", first, str(first)),
        ("entity_touched", second, str(second)),
        ("entity_deleted", third, str(third)),
    ]
    assert by_id(stream)[0][2] is None, "an acknowledgement is no place in the log"


def test_a_snapshot_has_its_id_at_its_end(api: Api, follow: Follow) -> None:
    api.publish("a", x=1, y=2)
    last = api.publish("b", x=1)
    stream = follow(f"?namespace={api.space}&snapshot=1")
    end = stream.next("snapshot_end")
    assert end["seq"] == last
    found = {(kind, sent) for kind, _, sent in by_id(stream)}
    assert found == {
        ("subscribed", None),
        ("snapshot_start", None),
        ("state_update", None),
        ("snapshot_end", str(last)),
    }


def test_a_replay_has_the_ids_of_its_events(api: Api, follow: Follow) -> None:
    seqs = [api.publish("a", x=number, y=number) for number in range(3)]
    stream = follow(f"?entity_id={api.id('a')}&since={seqs[0]}")
    stream.next("replay_end")
    assert [(kind, sent) for kind, _, sent in by_id(stream)] == [
        ("subscribed", None),
        ("replay_start", None),
        ("state_update", None),
        ("state_update", str(seqs[1])),
        ("state_update", None),
        ("state_update", str(seqs[2])),
        ("replay_end", None),
    ]


def test_last_event_id_goes_before_since(api: Api, follow: Follow) -> None:
    """A browser sends its old address again, and behind it where it is now."""
    seqs = [api.publish("a", n=number) for number in range(4)]
    interest = f"?entity_id={api.id('a')}"
    for query in (f"{interest}&since={seqs[0]}", interest):
        stream = follow(query, last_event_id=str(seqs[1]))
        assert stream.next("replay_start")["from_seq"] == seqs[1] + 1
        stream.next("replay_end")
        assert [value for _, _, value in heard(stream)] == [2, 3]


def test_last_event_id_goes_before_a_snapshot(api: Api, follow: Follow) -> None:
    seqs = [api.publish("a", n=number) for number in range(3)]
    query = f"?entity_id={api.id('a')}&snapshot=1"
    stream = follow(query, last_event_id=str(seqs[1]))
    assert stream.next("replay_start")["from_seq"] == seqs[1] + 1
    stream.next("replay_end")
    assert [value for _, _, value in heard(stream)] == [2]


@pytest.mark.parametrize("given", ["x", "-1", "1.5", "9000000000000000"])
def test_a_wrong_last_event_id_is_a_400(api: Api, given: str) -> None:
    answer = api.get("/api/stream", last_event_id=given)
    assert answer.status == 400


def test_an_empty_last_event_id_is_none(api: Api, follow: Follow) -> None:
    """As a browser sends it that has not got one yet."""
    since = api.publish("a", n=0)
    api.publish("a", n=1)
    stream = follow(f"?entity_id={api.id('a')}&since={since}", last_event_id="")
    stream.next("replay_end")
    assert [value for _, _, value in heard(stream)] == [1]


def test_a_line_break_in_an_id_or_a_value_breaks_nothing(
    api: Api, follow: Follow
) -> None:
    stream = follow(f"?namespace={api.space}")
    text = "one\ntwo\r\nthree\rid: 7\n\ndata: {}\n\n\u2028\x85\x0b"
    api.publish("a", **{text: text})
    fence(api, stream)
    assert heard(stream) == [(api.id("a"), text, text)]


def test_a_line_says_that_it_lives(follow: Follow) -> None:
    stream = follow("?entity_id=never/there")
    stream.next("subscribed")
    with stream.news:
        stream.news.wait_for(lambda: stream.comments, 25)
    assert stream.comments
    assert stream.end is None


def test_it_is_closed_by_the_client_alone(api: Api, follow: Follow) -> None:
    """A second request on the same connection is no way to end it."""
    first, second = follow(), follow()
    first.close()
    api.publish("a", x=1)
    fence(api, second)
    assert heard(second) == [(api.id("a"), "x", 1)]
