"""`flux.sh watch` against a real server: what it shows, and where it begins."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.client import Api, event
from tests.support.live import Stream
from tests.support.servers import Server
from tests.support.skill import Skill
from tests.support.watching import Watch


@pytest.fixture
def api(server: Server) -> Iterator[Api]:
    client = Api(server.port)
    yield client
    client.close()


@pytest.fixture
def skill(server: Server) -> Skill:
    return Skill(server.base_url)


def seen(watch: Watch) -> list[tuple[Any, Any, Any]]:
    """(entity, property or type, value) of each line about an event."""
    return [
        (one["entity_id"], one.get("property", one["type"]), one.get("value"))
        for one in watch.events
    ]


def fence(api: Api, watch: Watch, name: str = "fence") -> int:
    """Publishes an event, which the watch is to show; what came before it has come."""
    seq = api.publish(name, fence=True)
    marks = (f'"seq":{seq}}}', f"  {seq}  ")  # as JSON, and on a terminal
    watch.wait(
        lambda: any(mark in line for line in watch.out for mark in marks),
        what=f"seq {seq}",
    )
    return seq


# --- what is shown --------------------------------------------------------------


def test_it_prints_each_frame_as_the_server_sent_it(api: Api, skill: Skill) -> None:
    with (
        Watch(skill, "--prefix", api.id("")).begun() as watch,
        Stream(api.port, f"?prefix={api.id('')}").listen() as stream,
    ):
        stream.next("subscribed")
        first = api.publish("a", x=1, text='"quoted", \\ ☃')
        touched = api.publish("a")
        deleted = api.publish("a", __deleted__=True)
        stream.wait_for_seq(deleted)
        watch.wait_for(f'"seq":{deleted}')
        assert watch.frames[1:] == stream.said[1:]
    assert [one["seq"] for one in watch.events] == [first, first, touched, deleted]
    assert [one.get("more") for one in watch.events] == [True, None, None, None]
    assert watch.err == []


def test_numbers_keep_their_digits(api: Api, skill: Skill) -> None:
    digits = "[1.10,12345678901234567890,0.1000000000000000055511151231257827]"
    body = json.dumps(event(api.id("n"), {"n": 0})).replace('"n": 0', f'"n": {digits}')
    with Watch(skill, api.id("n")).begun() as watch:
        api.ask("POST", "/api/events", body.encode())
        watch.wait_for(f'"value":{digits},')


@pytest.mark.parametrize("arguments", [[], ["*"]])
def test_without_an_id_it_shows_everything(
    api: Api, skill: Skill, arguments: list[str]
) -> None:
    with Watch(skill, *arguments).begun() as watch:
        api.publish("a", x=1)
        api.post("/api/events", event(f"lone-{api.space}", {"y": 2}))
        fence(api, watch)
    expected = [(api.id("a"), "x", 1), (f"lone-{api.space}", "y", 2)]
    assert seen(watch)[:-1] == expected


def test_it_shows_what_was_asked_for_alone(api: Api, skill: Skill) -> None:
    asked = {
        "id": [api.id("a/1")],
        "prefix": ["--prefix", api.id("a/")],
        "joined": [f"--prefix={api.id('a/')}"],
        "namespace": ["--namespace", api.space],
    }
    watches = {name: Watch(skill, *given).begun() for name, given in asked.items()}
    for name in ("a/1", "a/2", "b"):
        api.publish(name, x=name)
    api.post("/api/events", event(f"{api.space}x/a", {"x": "other"}))
    found = {}
    for name, watch in watches.items():
        with watch:
            fence(api, watch, "a/1")
        found[name] = [value for _, _, value in seen(watch)]
    found = {name: [one for one in of if one is not True] for name, of in found.items()}
    assert found == {
        "id": ["a/1"],
        "prefix": ["a/1", "a/2"],
        "joined": ["a/1", "a/2"],
        "namespace": ["a/1", "a/2", "b"],
    }


@pytest.mark.parametrize(
    "entity_id",
    [
        "odd/with a space",
        "odd/watched 100%25 %2F?x=1#y&z=+",
        "odd/ü ☃ 𝄞",
        "--help",
        "odd/*[a]{b}$X",
    ],
)
def test_any_valid_id_can_be_watched(api: Api, skill: Skill, entity_id: str) -> None:
    for arguments in (["--", entity_id], ["--prefix", entity_id]):
        with Watch(skill, *arguments).begun() as watch:
            api.post("/api/events", event(entity_id, {"x": api.space}))
            watch.wait_for(api.space)
        assert seen(watch) == [(entity_id, "x", api.space)]


def test_deletions_of_what_was_not_asked_for_are_left_out(
    api: Api, skill: Skill
) -> None:
    """Although the server tells them to everybody."""
    odd = 'a"\\b'
    asked = {
        "id": ["--", api.id(odd)],
        "prefix": ["--prefix", api.id(odd[:-1])],
        "namespace": ["--namespace", api.space],
        "everything": [],
    }
    watches = {name: Watch(skill, *given).begun() for name, given in asked.items()}
    api.post("/api/events", event(f"{api.space}-other", {"__deleted__": True}))
    api.publish("another", __deleted__=True)
    deleted = api.publish(odd, __deleted__=True)
    found = {}
    for name, watch in watches.items():
        with watch:
            watch.wait_for(f'"seq":{deleted}')
        found[name] = [one for one, _, _ in seen(watch)]
    assert found == {
        "id": [api.id(odd)],
        "prefix": [api.id(odd)],
        "namespace": [api.id("another"), api.id(odd)],
        "everything": [f"{api.space}-other", api.id("another"), api.id(odd)],
    }


def test_the_namespace_default_has_the_ids_without_one(api: Api, skill: Skill) -> None:
    with Watch(skill, "--namespace", "default").begun() as watch:
        api.publish("elsewhere", __deleted__=True)
        for entity_id in (f"lone-{api.space}", f"default/{api.space}"):
            api.post("/api/events", event(entity_id, {"__deleted__": True}))
        watch.wait_for(f"default/{api.space}")
    assert [one for one, _, _ in seen(watch)] == [
        f"lone-{api.space}",
        f"default/{api.space}",
    ]


def test_figures_are_shown_to_who_asks(api: Api, skill: Skill) -> None:
    with Watch(skill, "--metrics").begun() as told, Watch(skill).begun() as untold:
        told.wait_for("metrics_update")
        fence(api, untold)
    assert "metrics_update" not in "\n".join(untold.out)


# --- where it begins, and after how much it ends ----------------------------------


def test_since_shows_what_was_missed_first(api: Api, skill: Skill) -> None:
    seqs = [api.publish("a", n=number) for number in range(4)]
    since = str(seqs[1])
    with Watch(skill, api.id("a"), "--since", since) as watch:
        watch.wait_for("replay_end")
        api.publish("a", n=4)
        watch.wait_for('"value":4')
    assert [value for _, _, value in seen(watch)] == [2, 3, 4]


def test_snapshot_shows_the_state_first(api: Api, skill: Skill) -> None:
    api.publish("a", x=1)
    api.publish("a", x=2, y=3)
    with Watch(skill, "--namespace", api.space, "--snapshot") as watch:
        watch.wait_for("snapshot_end")
        api.publish("a", x=4)
        watch.wait_for('"value":4')
    assert [value for _, _, value in seen(watch)] == [2, 3, 4]


def test_count_ends_it_after_so_many_events(api: Api, skill: Skill) -> None:
    watch = Watch(skill, api.id("a"), "--count", "2").begun()
    for value in (1, 2, 3):
        api.publish("a", x=value, y=value)
    ended = watch.ended()
    assert (ended.status, ended.err) == (0, "")
    assert [value for _, _, value in seen(watch)] == [1, 1, 2, 2]


def test_what_a_snapshot_shows_does_not_count(api: Api, skill: Skill) -> None:
    api.publish("a", x=1)
    api.publish("b", x=1)
    given = ["--prefix", api.id(""), "--snapshot", "--count", "1"]
    watch = Watch(skill, *given).begun()
    watch.wait_for("snapshot_end")
    api.publish("b", x=2)
    assert watch.ended().status == 0
    assert [value for _, _, value in seen(watch)] == [1, 1, 2]


def test_the_directory_can_be_waited_for(api: Api, skill: Skill) -> None:
    watch = Watch(skill, "flux-core/directory", "--count", "1").begun()
    api.publish("a", x=1)
    assert watch.ended().status == 0
    assert "total_entities" in "\n".join(watch.out)


def test_thousands_of_events_are_shown_in_order_each_once(
    api: Api, skill: Skill
) -> None:
    count = 3_000
    events = [event(api.id("many"), {"n": number}) for number in range(count)]
    watch = Watch(skill, api.id("many"), "--count", str(count)).begun()
    api.post("/api/events/batch", events)
    assert watch.ended().status == 0
    assert [value for _, _, value in seen(watch)] == list(range(count))


# --- on a terminal ------------------------------------------------------------------


def test_on_a_terminal_people_can_read_it(api: Api, skill: Skill) -> None:
    given = ["--namespace", api.space, "--since", "0", "--metrics"]
    first = api.publish("a", temperature=21.5, text="cold")
    payload = {"entity_id": api.id("a"), "properties": {}, "unset": ["text"]}
    api.post("/api/events", event("a", payload=payload))
    api.publish("a")
    api.publish("a", __deleted__=True)
    with Watch(skill, *given, on_terminal=True) as watch:
        watch.wait_for("that was the past")
        watch.wait_for("events/s")
    place = r"20..-..-..T..:..:..\....Z  "
    expected = [
        r"-- watching; the log is at \d+",
        r"-- what happened from 1 to \d+:",
        rf"{place}{first}  {api.id('a')}  temperature = 21\.5",
        rf"{place}{first}  {api.id('a')}  text = \"cold\"",
        rf"{place}{first + 1}  {api.id('a')}  text removed",
        rf"{place}{first + 2}  {api.id('a')}  touched",
        rf"{place}{first + 3}  {api.id('a')}  deleted",
        r"-- that was the past, up to \d+",
        r"-- [\d.]+ events/s, \d+ connections, \d+ publishers",
    ]
    for line, pattern in zip(watch.out, expected, strict=False):
        assert re.fullmatch(pattern, line), line


def test_on_a_terminal_hostile_texts_are_inert_and_short(
    api: Api, skill: Skill
) -> None:
    evil = "\x9b2J\x7f\x9b31m\x1b[2J" + "☃" * 3_000
    given = event(api.id("☃" * 400), {evil: evil})
    text = json.dumps(given, ensure_ascii=False).encode()
    with Watch(skill, "--namespace", api.space, on_terminal=True) as watch:
        watch.wait_for("watching")
        assert api.ask("POST", "/api/events", text).status == 200
        fence(api, watch)
    line = watch.out[1]
    assert "☃☃☃" in line
    assert len(line) < 1_000
    assert line.isprintable()


def test_on_a_terminal_raw_is_json_all_the_same(api: Api, skill: Skill) -> None:
    with Watch(skill, api.id("a"), "--raw", on_terminal=True).begun() as watch:
        api.publish("a", x=1)
        watch.wait_for('"value":1')
    assert seen(watch) == [(api.id("a"), "x", 1)]
