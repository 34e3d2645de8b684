"""Under an ASGI server that knows nothing of Flux everything works, only slower.

daphne does what ASGI asks and no more: it closes without a reason and with a code for
private use, answers every refused handshake with a bare 403, and takes all it is given
for a client that does not read. uvicorn, as it comes, waits for its clients.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from websockets.exceptions import ConnectionClosed

from tests.support import servers
from tests.support.account import check
from tests.support.client import Answer, Api, event
from tests.support.history import history, state
from tests.support.listener import End, Listener
from tests.support.live import Socket, Stream, fence, handshake, heard
from tests.support.servers import PLAIN, Server

END_SECONDS = 30.0
# More than the kernel and the server hold for a client that does not read.
LARGE_BYTES, LARGE_BATCH, LARGE_BATCHES = 40_000, 20, 20
# Behind for as long as that many are told of, a client is a slow one.
METRICS_UPDATES = 3
# However slowly a server takes them.
TOO_MANY = 20_000


@pytest.fixture(scope="module", params=PLAIN)
def plain(request: pytest.FixtureRequest, api_database: str) -> Iterator[Server]:
    started = servers.serve_plain(request.param, api_database)
    yield started
    started.stop()


@pytest.fixture
def is_daphne(plain: Server) -> bool:
    return plain.data_dir.name.startswith("daphne")


@pytest.fixture
def api(plain: Server) -> Iterator[Api]:
    client = Api(plain.port)
    yield client
    client.close()


def values(listener: Listener) -> list[object]:
    return [value for _, _, value in heard(listener)]


def test_events_are_stored_and_read(api: Api) -> None:
    seq = api.publish("a", x=1)
    events = [event(api.id("a"), {"y": 2}), event("", {}), event(api.id("b"), {})]
    answer = api.post("/api/events/batch", {"events": events}).json
    assert (answer["successful"], answer["failed"]) == (2, 1)
    assert api.entity("a").json["properties"] == {"x": 1, "y": 2}
    assert api.head() == seq + 2
    assert api.ask("DELETE", f"/api/state/entities/{api.id('a')}").status == 200
    assert api.entity("a").status == 404
    assert api.get("/api/nowhere").code == "unknown_route"


@pytest.mark.parametrize("kind", [Socket, Stream])
def test_a_subscription_in_the_past(
    plain: Server, api: Api, kind: type[Socket | Stream]
) -> None:
    before = api.publish("a", n=0)
    api.publish("a", n=1)
    with kind(plain.port, f"?prefix={api.id('')}&since={before}").listen() as listener:
        assert listener.next("replay_start")["from_seq"] == before + 1
        assert listener.next("replay_end")["seq"] == before + 1
        api.publish("b", n=2)
        upto = fence(api, listener)
        assert values(listener) == [1, 2]
        check(listener.account, history(api, after=before), upto=upto)


@pytest.mark.parametrize("kind", [Socket, Stream])
def test_a_snapshot(plain: Server, api: Api, kind: type[Socket | Stream]) -> None:
    api.publish("a", x=1, y=2)
    with kind(plain.port, f"?namespace={api.space}&snapshot=1").listen() as listener:
        listener.next("snapshot_end")
        assert listener.view.entities() == {api.id("a"): {"x": 1, "y": 2}}
        api.publish("a", x=3)
        fence(api, listener)
        assert listener.view.entities() == state(api, f"namespace={api.space}")


def test_without_a_subscription_everything_comes(plain: Server, api: Api) -> None:
    with Socket(plain.port).listen() as socket, Stream(plain.port).listen() as stream:
        for listener in (socket, stream):
            listener.next("metrics_update")
        api.publish("a", x=1)
        fence(api, socket, stream)
        for listener in (socket, stream):
            assert heard(listener) == [(api.id("a"), "x", 1)]


def test_a_stream_resumes_behind_its_last_id(plain: Server, api: Api) -> None:
    seqs = [api.publish("a", x=number, y=number) for number in range(3)]
    query = f"?entity_id={api.id('a')}"
    with Stream(plain.port, query, last_event_id=str(seqs[0])).listen() as stream:
        stream.next("replay_end")
        assert stream.ids == [None, None, None, str(seqs[1]), None, str(seqs[2]), None]
        assert "text/event-stream" in stream.response.headers["content-type"]


def test_publishing_on_the_socket(plain: Server, api: Api) -> None:
    """Many in flight, a large one among them: all acknowledged, in their order."""
    with Socket(plain.port, f"?entity_id={api.id('a')}").listen() as socket:
        socket.next("subscribed")
        texts = ["x" * (300_000 if number == 7 else 10) for number in range(20)]
        for number, text in enumerate(texts):
            one = event(api.id("a"), {"text": text})
            socket.send({"type": "publish", "ref": number, "events": [one, {}]})
        acks = [socket.next("published") for _ in texts]
        assert [ack["ref"] for ack in acks] == list(range(20))
        seqs = [ack["results"][0]["seq"] for ack in acks]
        assert all(ack["results"][1]["error"] for ack in acks)
        socket.wait_for_seq(seqs[-1])
        assert socket.account.arrived == sorted(seqs)
        assert values(socket) == texts


def test_what_is_wrong_with_a_message_is_said(plain: Server, api: Api) -> None:
    with Socket(plain.port, "?entity_id=a").listen() as socket:
        for message in ("{", '{"type":"subscribe"}', b"\xff\xfe"):
            socket.send(message)
            assert socket.next("error")["error"]
        ahead = {"type": "subscribe", "entity_id": "*", "since": api.head() + 9}
        socket.send(ahead)
        assert socket.next("error")["code"] == "since_ahead"
        assert socket.end is None


WRONG = {"?since=x": 400, "?since=9000000000000000": 400, "?entity_id=%2Fx": 400}


@pytest.mark.parametrize("query", WRONG)
def test_a_handshake_is_refused(
    plain: Server, api: Api, query: str, *, is_daphne: bool
) -> None:
    assert api.get(f"/api/stream{query}").status == 400
    answer = handshake(plain.port, query)
    assert is_refused(answer, 400, is_bare=is_daphne)
    foreign = handshake(plain.port, origin="https://evil.example")
    assert is_refused(foreign, 403, is_bare=is_daphne)


def is_refused(answer: Answer, status: int, *, is_bare: bool) -> bool:
    if is_bare:
        return answer.status == 403
    return answer.status == status and bool(answer.json["error"])


def test_whoever_says_too_much_is_ended(plain: Server, *, is_daphne: bool) -> None:
    with Socket(plain.port, "?entity_id=a").listen() as socket:
        with suppress(ConnectionClosed):
            for _ in range(TOO_MANY):
                socket.send('{"type":"subscribe"}')
        end = socket.wait_for_end()
        assert end == (End(4008, "") if is_daphne else End(1008, "too_many_messages"))


def test_who_does_not_read_misses_nothing(
    plain: Server, api: Api, *, is_daphne: bool
) -> None:
    """Conflated where the server waits for its clients; the others go on meanwhile."""
    before = api.head()
    reads = threading.Event()
    query = f"?prefix={api.id('')}"
    with ExitStack() as opened:
        slow = Socket(plain.port, query, receive_bytes=4_096)
        opened.callback(slow.close)
        opened.callback(reads.set)
        slow.pause = reads.wait
        slow.listen()
        quick = opened.enter_context(Socket(plain.port, query).listen())
        quick.next("subscribed")
        for batch in range(LARGE_BATCHES):
            events = [
                event(api.id(f"e{n % 3}"), {"n": batch, "text": "x" * LARGE_BYTES})
                for n in range(LARGE_BATCH)
            ]
            assert api.post("/api/events/batch", events).json["failed"] == 0
        api.close()  # servers do not keep idle connections for long
        for _ in range(METRICS_UPDATES):
            quick.next("metrics_update")
        reads.set()
        upto = fence(api, quick, slow)
        said = history(api, after=before)
        truth = state(api, f"prefix={api.id('')}")
        for socket in (quick, slow):
            check(socket.account, said, upto=upto)
            assert socket.view.entities() == truth
        assert not quick.account.skipped
        assert bool(slow.account.skipped) != is_daphne


def test_it_belongs_to_the_other_processes(
    plain: Server, api: Api, server: Server
) -> None:
    other = Api(server.port)
    with (
        Socket(plain.port, f"?namespace={api.space}").listen() as here,
        Socket(server.port, f"?namespace={api.space}").listen() as there,
    ):
        for one in (here, there):
            one.next("subscribed")
        for number in range(10):
            api.publish("a", n=2 * number)
            one_more = event(api.id("a"), {"n": 2 * number + 1})
            assert other.post("/api/events", one_more).status == 200
        fence(api, here, there)
        assert values(here) == values(there) == list(range(20))
    other.close()


@pytest.mark.parametrize("kind", PLAIN)
def test_it_ends_when_it_is_told_to(api_database: str, kind: str) -> None:
    server = servers.serve_plain(kind, api_database)
    with ExitStack() as opened:
        opened.callback(server.stop)
        listeners: list[Listener] = [
            Socket(server.port, "?entity_id=*").listen(),
            Stream(server.port, "?entity_id=*").listen(),
        ]
        for listener in listeners:
            opened.callback(listener.close)
            for _ in range(2):  # daphne looks after its connections by then
                listener.next("metrics_update")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(END_SECONDS) in {0, -signal.SIGTERM}
        for listener in listeners:
            assert listener.wait_for_end()
