"""How `flux.sh watch` goes on after a loss, and how it ends: never in silence."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.support import fake_api
from tests.support.client import Api
from tests.support.fake_api import Answer, FakeApi
from tests.support.live import Stream
from tests.support.servers import Flux, Server, free_port, wait_for
from tests.support.skill import Skill, only
from tests.support.watching import Watch

EVENTS = {"Content-Type": "text/event-stream; charset=utf-8"}
USAGE = "usage: flux.sh watch [ENTITY_ID | --prefix PREFIX | --namespace NAME]"


@pytest.fixture
def fake() -> Iterator[FakeApi]:
    with fake_api.serving() as api:
        yield api


def sent(*lines: str) -> Answer:
    """A stream that breaks off behind these lines."""
    body = "".join(f"{line}\n" for line in lines).encode()
    return Answer(body=body, headers=EVENTS, promised_bytes=len(body) + 1)


def said(seq: int, *, more: bool = False, value: int = 0) -> list[str]:
    """The lines of one frame; the last one of an event has its id."""
    ending = ',"more":true' if more else ""
    frame = (
        '{"type":"state_update","entity_id":"a","property":"x",'
        f'"value":{value},"timestamp":"2025-06-01T09:00:00.123456Z","seq":{seq}{ending}}}'
    )
    return [*([] if more else [f"id: {seq}"]), f"data: {frame}", ""]


SUBSCRIBED = ['data: {"type":"subscribed","entity_id":"*","seq":4}', ""]


def values(watch: Watch) -> list[object]:
    return [frame["value"] for frame in watch.events]


def resumed_at(fake: FakeApi) -> list[str | None]:
    return [asked.headers.get("last-event-id") for asked in fake.asked]


# --- going on -----------------------------------------------------------------------


def test_after_a_restart_nothing_is_missed_and_nothing_comes_twice(
    start_flux: Callable[..., Flux],
) -> None:
    flux = start_flux()
    api = Api(flux.port)
    with Watch(Skill(flux.base_url), "--prefix", api.id("")).begun() as watch:
        api.publish("a", n=1, m=1)
        watch.wait(lambda: len(watch.out) == 3, what="the first event")
        flux.stop()
        watch.wait_to_say("the connection is lost; trying again in 1 s, behind seq 1")
        watch.wait_to_say("no answer from")
        api.close()
        watch.process.send_signal(signal.SIGSTOP)  # it comes back when all is done
        start_flux(like=flux)
        api.publish("a", n=2, m=2)
        watch.process.send_signal(signal.SIGCONT)
        watch.wait_to_say("connected")
        api.publish("a", n=3, m=3)
        watch.wait_for('"value":3,')
        watch.wait(lambda: len(list(watch.events)) >= 6, what="the third event")
        assert values(watch) == [1, 1, 2, 2, 3, 3]
    api.close()


def test_the_pauses_grow(fake: FakeApi) -> None:
    fake.answer = sent(*SUBSCRIBED)
    with Watch(Skill(fake.url)).begun() as watch:
        fake.answer = Answer(status=502, body=b"a proxy's page")
        for seconds in (1, 2, 4):
            watch.wait_to_say(f"trying again in {seconds} s, behind seq 4")
    assert "the answer is no Flux error: a proxy's page (HTTP 502)" in watch.err[2]


def test_a_pause_is_as_long_as_the_server_asks_for(fake: FakeApi) -> None:
    refusal = b'{"error": "Busy.", "code": "overloaded"}'
    fake.answer = Answer(status=503, body=refusal, headers={"Retry-After": "7"})
    with Watch(Skill(fake.url)) as watch:
        watch.wait_to_say("flux.sh: Busy. (overloaded, HTTP 503); trying again in 7 s")


def test_half_an_event_is_not_shown_until_it_is_whole(fake: FakeApi) -> None:
    half = [*SUBSCRIBED, *said(5, value=1), *said(6, more=True, value=2)]
    fake.answer = sent(*half)
    with Watch(Skill(fake.url)).begun() as watch:
        fake.answer = sent(*said(6, more=True, value=3), *said(6, value=4))
        watch.wait_for('"value":4,')
    assert values(watch) == [1, 3, 4]
    assert resumed_at(fake)[:2] == [None, "5"]


@pytest.mark.parametrize(
    ("arguments", "lines", "place"),
    [
        ([], SUBSCRIBED, "4"),
        (["--since", "2"], SUBSCRIBED, "2"),
        (["--since", "2"], ['data: {"type":"replay_end","seq":4}', ""], "4"),
        (["--snapshot"], SUBSCRIBED, None),
        (["--snapshot"], ['data: {"type":"snapshot_end","seq":4}', ""], None),
        (["--snapshot"], ["id: 4", 'data: {"type":"snapshot_end","seq":4}', ""], "4"),
        ([], [*SUBSCRIBED, *said(5)], "5"),
        ([], [*SUBSCRIBED, *said(5), "", ": beat", "", "id: 9"], "5"),
    ],
)
def test_it_goes_on_behind_what_came_whole(
    fake: FakeApi, arguments: list[str], lines: list[str], place: str | None
) -> None:
    fake.answer = sent(*lines)
    with Watch(Skill(fake.url), *arguments):
        wait_for(lambda: len(fake.asked) > 1, what="a second connection")
    assert resumed_at(fake)[1] == place
    assert fake.asked[0].path == fake.asked[1].path


def test_too_many_connections_are_waited_for(
    start_server: Callable[..., Server],
) -> None:
    server = start_server(FLUX_MAX_LISTENERS="1")
    api = Api(server.port)
    with Stream(server.port) as other, Watch(Skill(server.base_url)) as watch:
        other.listen()
        watch.wait_to_say("(too_many_connections, HTTP 503); trying again in")
        other.close()
        watch.begun()
        api.publish("a", x=1)
        watch.wait_for(api.id("a"))
    api.close()


def test_it_needs_bash_curl_and_sleep_alone(fake: FakeApi, tmp_path: Path) -> None:
    path = only(tmp_path / "bin", "bash", "curl", "sleep")
    fake.answer = sent(*SUBSCRIBED, *said(5))
    with Watch(Skill(fake.url, path)).begun() as watch:
        watch.wait_to_say("trying again in 1 s")
        watch.wait_to_say("connected")


# --- ending -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/x"], "(invalid_entity_id, HTTP 400)"),
        (["--namespace", "n\n"], "HTTP 400)"),
        (["--since", "9000000000000000"], "(since_ahead, HTTP 400)"),
    ],
)
def test_a_refusal_ends_it_at_once(
    server: Server, arguments: list[str], message: str
) -> None:
    ended = Skill(server.base_url).flux("watch", *arguments)
    assert (ended.status, ended.out) == (1, "")
    assert message in ended.err
    assert "trying again" not in ended.err


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_refusal_after_a_loss_ends_it_too(fake: FakeApi, status: int) -> None:
    fake.answer = sent(*SUBSCRIBED)
    watch = Watch(Skill(fake.url)).begun()
    fake.answer = Answer(status=status, body=b'{"error": "No.", "code": "no"}')
    ended = watch.ended()
    assert ended.status == 1
    # A hint may follow: with 401, that FLUX_TOKEN is not set.
    assert f"flux.sh: No. (no, HTTP {status})" in ended.err.splitlines()
    assert ended.err.count("trying again") == 1


def test_another_log_ends_it(fake: FakeApi) -> None:
    """What was seen belongs to a log that is no more: who watches must know."""
    fake.answer = sent(*SUBSCRIBED)
    watch = Watch(Skill(fake.url)).begun()
    refusal = b'{"error": "since is 4, but the log ends at 0.", "code": "since_ahead"}'
    fake.answer = Answer(status=400, body=refusal)
    ended = watch.ended()
    assert ended.status == 1
    assert "since is 4, but the log ends at 0. (since_ahead, HTTP 400)" in ended.err


def test_a_redirect_is_told(fake: FakeApi) -> None:
    location = {"Location": "https://example.org/api/stream"}
    fake.answer = Answer(status=302, headers=location)
    ended = Skill(fake.url).flux("watch")
    assert ended.status == 1
    assert "the server redirects to https://example.org/api/stream" in ended.err


def test_where_nobody_answers_it_ends(tmp_path: Path) -> None:
    ended = Skill(f"http://127.0.0.1:{free_port()}").flux("watch")
    assert (ended.status, ended.out) == (3, "")
    assert "no answer from http://127.0.0.1:" in ended.err


@pytest.mark.parametrize("answer", [Answer(), Answer(status=204, body=b"")])
def test_what_is_no_flux_server_ends_it(fake: FakeApi, answer: Answer) -> None:
    fake.answer = answer
    ended = Skill(fake.url).flux("watch")
    assert (ended.status, ended.out) == (3, "")
    assert "something other than events" in ended.err


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
)
def test_a_signal_ends_it_and_what_runs_for_it(
    server: Server, number: signal.Signals, status: int
) -> None:
    watch = Watch(Skill(server.base_url)).begun()
    programs = watch.programs()
    assert any("curl" in line for line in watch.command_lines())
    ended = watch.end(number)
    assert (ended.status, ended.err) == (status, "")
    assert psutil.wait_procs(programs, timeout=10)[1] == []


def test_a_signal_ends_a_pause_too(fake: FakeApi) -> None:
    fake.answer = Answer(status=503, headers={"Retry-After": "99"})
    watch = Watch(Skill(fake.url))
    watch.wait_to_say("trying again in 99 s")
    wait_for(watch.programs, what="the pause")
    programs = watch.programs()
    assert watch.end(signal.SIGINT).status == 130
    assert psutil.wait_procs(programs, timeout=10)[1] == []


def test_it_ends_when_nobody_reads_on(server: Server) -> None:
    api = Api(server.port)
    api.publish("a", n=1)
    api.publish("a", n=2)
    given = f"watch --prefix {api.id('')} --since 0"
    ended = Skill(server.base_url).shell(f"flux.sh {given} | head -n 1; echo over")
    assert ended.out.endswith("over\n")
    assert (ended.status, ended.err) == (0, "")
    api.close()


@pytest.mark.parametrize(
    "arguments",
    [
        [""],
        ["a", "b"],
        ["a", "--prefix", "b"],
        ["--prefix", "a", "--namespace", "b"],
        ["--prefix"],
        ["--namespace", ""],
        ["--since"],
        ["--since", "now"],
        ["--since", "-1"],
        ["--since=1.5"],
        ["--since", "1", "--snapshot"],
        ["--count", "0"],
        ["--count", "x"],
        ["--follow"],
        ["--"],
        ["--", "a", "b"],
    ],
)
def test_wrong_usage_ends_with_2(fake: FakeApi, arguments: list[str]) -> None:
    ended = Skill(fake.url).flux("watch", *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert USAGE in ended.err
    assert fake.asked == []


def test_the_token_goes_as_a_header(fake: FakeApi) -> None:
    fake.answer = sent(*SUBSCRIBED)
    with Watch(Skill(fake.url).given(FLUX_TOKEN="a secret")).begun():
        assert fake.last.headers["authorization"] == "Bearer a secret"


def test_the_token_is_no_argument_that_others_can_see(server: Server) -> None:
    skill = Skill(server.base_url).given(FLUX_TOKEN="a secret")
    with Watch(skill).begun() as watch:
        lines = watch.command_lines()
    assert any("curl" in line for line in lines)
    assert "secret" not in "".join(lines)
