"""What happens to the feed's database, and what listeners hear of it: nothing.

Its connections are ended under load, its notifications are lost, its log is replaced.
Times are not asserted: what comes late comes all the same.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest

from events import ingest, log
from tests.support import ledger, load, reset, servers, session
from tests.support.account import check
from tests.support.client import Api, event
from tests.support.history import history, state
from tests.support.ledger import Database
from tests.support.listener import End, Listener
from tests.support.live import Refused, Socket, Stream, fence, heard
from tests.support.said import append
from tests.support.servers import Server, wait_for

FEED, PAST, REPLAY = "flux feed", "flux past", "flux replay"
KILLS = 40
# More than one page, from before anybody listened: who asks for it needs the database.
BEFORE = 1_200
BATCH = 400
# A killer goes on when so many requests were answered since.
REQUESTS_A_KILL = 10


@pytest.fixture
def two(database: None) -> Iterator[Sequence[Server]]:
    """Two server processes on a database that this test may do anything to."""
    with ExitStack() as started:
        found = []
        for _ in range(2):
            found.append(servers.serve(session.DATABASE))
            started.callback(found[-1].stop)
        yield found


@pytest.fixture
def api(two: Sequence[Server]) -> Iterator[Api]:
    client = Api(two[0].port)
    yield client
    client.close()


def fill(api: Api) -> None:
    for start in range(0, BEFORE, BATCH):
        events = [
            event(f"crowd/{n % 7}", {"n": n}) for n in range(start, start + BATCH)
        ]
        assert api.post("/api/events/batch", events).json["successful"] == BATCH


def pids(connection: Database, name: str) -> set[int]:
    """PostgreSQL's processes at the other end of the connections of this name."""
    rows = connection.execute(
        "SELECT pid FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = %s",
        (name,),
    )
    return {pid for (pid,) in rows.fetchall()}


def kill(connection: Database, name: str) -> None:
    """Ends all connections of this name, once there are any."""
    wait_for(lambda: pids(connection, name), what=f"a connection {name}")
    killed = pids(connection, name)
    for pid in killed:
        connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
    wait_for(lambda: not killed & pids(connection, name), what="their end")


class Again:
    """Subscribes again and again, with `since` to hear each time of all of it, and for
    the state of one entity."""

    def __init__(self, port: int) -> None:
        self.socket = Socket(port, "?entity_id=nobody").listen()
        self.rounds = 0

    def __call__(self) -> None:
        self.socket.subscribe(prefix="crowd/", since=0)
        self.socket.next("replay_end")
        self.socket.unsubscribe(prefix="crowd/")
        self.socket.subscribe(entity_id="crowd/2", snapshot=True)
        self.socket.next("snapshot_end")
        self.socket.unsubscribe(entity_id="crowd/2")
        self.rounds += 1


def test_its_connections_are_killed_under_load(two: Sequence[Server], api: Api) -> None:
    """Nothing is missed, nothing is repeated, and nobody is disconnected."""
    ports = [server.port for server in two]
    fill(api)
    again = [Again(port) for port in ports]
    everything = [Socket(port, "?snapshot=1").listen() for port in ports]
    listeners: list[Listener] = [
        *everything,
        *(one.socket for one in again),
        *(Socket(port, "?entity_id=crowd/1&since=0").listen() for port in ports),
        *(Stream(port, "?prefix=crowd/").listen() for port in ports),
    ]
    with ExitStack() as work, ledger.at(session.DATABASE) as connection:
        for listener in listeners:
            work.callback(listener.close)
        with (
            load.running(ports, writers=3, pause=0.02) as running,
            load.repeating(again[0], pause=0),
            load.repeating(again[1], pause=0),
        ):
            for turn in range(KILLS):
                kill(connection, (FEED, PAST, FEED, REPLAY)[turn % 4])
                running.goes_on(REQUESTS_A_KILL)
        assert (running.lost, running.refusals) == (0, {}), "writers are not concerned"
        assert all(one.rounds > 1 for one in again)
        upto = fence(api, *listeners)
        said = history(api, after=0)
        for listener in listeners:
            check(listener.account, said, upto=upto)
            assert not listener.account.skipped
        for listener in everything:
            assert listener.view.entities() == state(api)


def test_every_notification_is_lost(
    two: Sequence[Server], api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process writes, and nobody tells the servers: they look by themselves."""
    monkeypatch.setattr(log, "NOTIFY", (log.NOTIFY[0], (b"elsewhere",)))
    listeners: list[Listener] = [
        one
        for server in two
        for one in (
            Socket(server.port, "?prefix=a/&since=0").listen(),
            Stream(server.port, "?prefix=a/").listen(),
        )
    ]
    with ExitStack() as opened:
        for listener in listeners:
            opened.callback(listener.close)
            listener.next("subscribed")
        for number in range(3):
            ingest.commit([append("a/x", {"n": number}), append("a/y")])
            for listener in listeners:
                listener.wait_for_seq(2 * number + 2)
        said = history(api, after=0)
        for listener in listeners:
            check(listener.account, said, upto=6)
            assert listener.view.entities() == {"a/x": {"n": 2}, "a/y": {}}


def replace_log(*, events: int) -> None:
    """Afterwards the log is another one, of so many events."""
    reset.empty()
    if events:
        ingest.commit([append("new/x", {"n": number}) for number in range(events)])


LOGS = {"a shorter one": (10, 0), "a longer one": (10, 40), "of an empty one": (0, 40)}


@pytest.mark.parametrize(("old", "new"), LOGS.values(), ids=LOGS)
def test_the_log_is_replaced(
    two: Sequence[Server], api: Api, old: int, new: int
) -> None:
    for number in range(old):
        api.publish("a", n=number)
    with ExitStack() as opened:
        sockets = [
            Socket(server.port, query).listen()
            for server in two
            for query in ("?entity_id=*", "?entity_id=x/y", "?entity_id=new/x&since=0")
        ]
        streams = [Stream(server.port, "?prefix=new/").listen() for server in two]
        for listener in (*sockets, *streams):
            opened.callback(listener.close)
            listener.next("subscribed")
        replace_log(events=new)
        for socket in sockets:
            assert socket.wait_for_end() == End(1012, "log_reset")
        for stream in streams:
            assert stream.wait_for_end() == End(1000, "the stream is over")
        for listener in (*sockets, *streams):
            told = {frame["entity_id"] for frame in listener.of("state_update")}
            assert "new/x" not in told, "it is no part of the old log"
    for server in two:
        goes_on_with_the_new_log(server, ahead=old + new + 50)


def goes_on_with_the_new_log(server: Server, *, ahead: int) -> None:
    api = Api(server.port)
    head = api.head()
    assert api.publish("b", n=1) == head + 1
    with pytest.raises(Refused) as refused:
        Stream(server.port, f"?since={ahead}")
    assert refused.value.status == 400
    with (
        Socket(server.port, "?since=0").listen() as socket,
        Stream(server.port, "?snapshot=1").listen() as stream,
    ):
        upto = fence(api, socket, stream)
        for listener in (socket, stream):
            check(listener.account, history(api, after=0), upto=upto)
            assert listener.view.entities() == state(api)
        assert (api.id("b"), "n", 1) in heard(socket)
    api.close()
