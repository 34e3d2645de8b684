"""The connection breaks around COMMIT: acknowledged is exactly what is in the log."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import ledger, load, proxy
from tests.support.client import Answer, Api, event
from tests.support.ledger import Database
from tests.support.proxy import Fault, Proxy
from tests.support.servers import Server, wait_for

StartServer = Callable[..., Server]
FAULTS_OF_A_KIND = 25
REFUSED = (503, "database_unavailable")
# The same endpoint on the event loop, whose commits are one round trip; and, as a query
# is nothing for the lane, on a thread, which takes the lock first and then decides.
LANE, THREAD = "/api/events", "/api/events?by=thread"
both_ways = pytest.mark.parametrize("path", [LANE, THREAD])


@pytest.fixture
def between(api_database: str) -> Iterator[Proxy]:
    with proxy.running(api_database) as running:
        yield running


@pytest.fixture
def connection(api_database: str) -> Iterator[Database]:
    with ledger.at(api_database) as opened:
        yield opened


@pytest.fixture
def api(between: Proxy, start_server: StartServer) -> Iterator[Api]:
    """A server whose database is behind the proxy; it has committed once."""
    client = Api(start_server(DATABASE_URL=between.url).port)
    client.publish("first")
    yield client
    client.close()


def publish(api: Api, name: str, /, path: str = LANE, **more: object) -> Answer:
    return api.post(path, event(api.id(name), {"by": name}, **more))


def is_stored(connection: Database, api: Api, name: str) -> bool:
    row = connection.execute(
        "SELECT count(*) FROM events_event WHERE entity_id = %s", (api.id(name),)
    ).fetchone()
    assert row is not None
    assert row[0] in {0, 1}
    return bool(row[0])


@both_ways
def test_a_commit_that_never_arrived_is_refused_and_not_stored(
    api: Api, between: Proxy, connection: Database, path: str
) -> None:
    publish(api, "before", path)
    between.once(Fault.DROPPED_BEFORE)
    answer = publish(api, "lost", path)
    assert between.met[Fault.DROPPED_BEFORE] == 1
    assert (answer.status, answer.code) == REFUSED
    assert int(answer.headers["retry-after"]) > 0
    assert not is_stored(connection, api, "lost")
    assert publish(api, "lost", path).status == 200


@both_ways
def test_a_commit_whose_answer_was_lost_is_acknowledged_with_its_seq(
    api: Api, between: Proxy, connection: Database, path: str
) -> None:
    head = api.head()
    between.once(Fault.DROPPED_AFTER)
    answer = publish(api, "kept", path)
    assert between.met[Fault.DROPPED_AFTER] == 1
    assert (answer.status, answer.json["seq"]) == (200, head + 1)
    assert "duplicate" not in answer.json
    assert is_stored(connection, api, "kept")
    assert publish(api, "next", path).json["seq"] == head + 2


@both_ways
@pytest.mark.parametrize("fault", [Fault.DROPPED_BEFORE, Fault.DROPPED_AFTER])
def test_with_the_database_gone_the_outcome_is_unknown_and_an_event_id_settles_it(
    api: Api, between: Proxy, connection: Database, fault: Fault, path: str
) -> None:
    stored = fault is Fault.DROPPED_AFTER
    head = api.head()
    between.once(fault)
    between.before_drop = lambda: setattr(between, "is_closed", True)
    answer = publish(api, "open", path, eventId=api.id("open"))
    assert (answer.status, answer.code) == (503, "outcome_unknown")
    assert int(answer.headers["retry-after"]) > 0
    assert is_stored(connection, api, "open") is stored

    between.is_closed = False
    again = publish(api, "open", path, eventId=api.id("open"))
    assert again.status == 200
    assert again.json["seq"] == head + 1
    assert ("duplicate" in again.json) is stored
    assert is_stored(connection, api, "open")


def test_what_another_process_stored_in_its_place_is_not_taken_for_its_own(
    api: Api, between: Proxy, connection: Database, start_server: StartServer
) -> None:
    """The client gave up waiting and sent its event again, elsewhere; the other event
    of the group must not be acknowledged along with it."""
    other = Api(start_server().port)
    again: list[Answer] = []
    sent = event(api.id("again"), {"by": "again"}, eventId=api.id("again"))
    between.once(Fault.DROPPED_BEFORE)
    between.before_drop = lambda: again.append(other.post("/api/events", sent))
    events = [sent, event(api.id("beside"), {"by": "beside"})]
    answer = api.post("/api/events/batch", {"events": events})
    assert again[0].status == 200
    assert "duplicate" not in again[0].json
    assert answer.status == 503
    assert not is_stored(connection, api, "beside")
    other.close()


@both_ways
def test_where_another_process_stored_the_same_in_its_place_it_is_a_duplicate(
    api: Api,
    between: Proxy,
    connection: Database,
    start_server: StartServer,
    path: str,
) -> None:
    other = Api(start_server().port)
    again: list[Answer] = []
    sent = event(api.id("again"), {"by": "again"}, eventId=api.id("again"))
    between.once(Fault.DROPPED_BEFORE)
    between.before_drop = lambda: again.append(other.post("/api/events", sent))
    answer = api.post(path, sent)
    assert again[0].status == answer.status == 200
    assert "duplicate" not in again[0].json
    assert answer.json == again[0].json | {"duplicate": True}
    other.close()


@both_ways
def test_another_event_under_the_same_id_in_its_place_is_not_taken_for_its_own(
    api: Api,
    between: Proxy,
    connection: Database,
    start_server: StartServer,
    path: str,
) -> None:
    other = Api(start_server().port)
    again: list[Answer] = []
    id_ = api.id("again")
    between.once(Fault.DROPPED_BEFORE)
    theirs = event(api.id("theirs"), {"by": "other"}, eventId=id_)
    between.before_drop = lambda: again.append(other.post("/api/events", theirs))
    answer = publish(api, "ours", path, eventId=id_)
    assert again[0].status == 200
    assert (answer.status, answer.code) == REFUSED
    assert not is_stored(connection, api, "ours")
    other.close()


def test_silent_connections_are_given_up_and_hold_nobody_up(
    api: Api, between: Proxy, connection: Database, start_server: StartServer
) -> None:
    """One has committed, one holds the log's lock; neither says anything more."""
    head = api.head()
    with proxy.running(between.database) as another, ThreadPoolExecutor(2) as threads:
        holding = Api(start_server(DATABASE_URL=another.url).port)
        beside = Api(start_server().port)
        between.once(Fault.SILENT_AFTER)
        kept = threads.submit(publish, api, "kept")
        wait_for(lambda: is_stored(connection, api, "kept"), what="the silent commit")
        another.once(Fault.SILENT_BEFORE)
        lost = threads.submit(publish, holding, "lost")
        wait_for(lambda: another.met[Fault.SILENT_BEFORE], what="the silent lock")
        wait_for(lambda: publish(beside, "meanwhile").status == 200, what="a write")
        assert (kept.result().status, kept.result().json["seq"]) == (200, head + 1)
        assert (lost.result().status, lost.result().code) == REFUSED
        assert not is_stored(connection, holding, "lost")
        assert publish(holding, "again").status == 200
    holding.close()
    beside.close()


def test_a_frozen_process_gives_the_lock_back(
    between: Proxy, connection: Database, start_server: StartServer
) -> None:
    server = start_server(DATABASE_URL=between.url)
    frozen, beside = Api(server.port), Api(start_server().port)
    between.when_locked = lambda: _freeze(server.process.pid)
    with ThreadPoolExecutor(1) as threads:
        lost = threads.submit(publish, frozen, "lost", THREAD)
        try:
            wait_for(lambda: between.when_locked is None, what="the lock")
            wait_for(lambda: publish(beside, "meanwhile").status == 200, what="a write")
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        assert (lost.result().status, lost.result().code) == REFUSED
    assert not is_stored(connection, frozen, "lost")
    assert publish(frozen, "again").status == 200
    frozen.close()
    beside.close()


def _freeze(pid: int) -> None:
    """Stops a process, and waits until it stands still: a signal takes its time."""
    os.kill(pid, signal.SIGSTOP)
    status = Path(f"/proc/{pid}/stat")
    wait_for(lambda: status.read_text().rpartition(") ")[2][0] == "T", what="a stop")


def test_under_load_acknowledged_is_exactly_what_is_in_the_log(
    api: Api, between: Proxy, connection: Database, start_server: StartServer
) -> None:
    """Two processes behind the proxy, one beside it; every few commits one is met."""
    head = api.head()
    second, beside = start_server(DATABASE_URL=between.url), start_server()
    with load.running([api.port, second.port, beside.port], writers=18) as running:
        between.fault = Dice()
        for fault in Dice.FAULTS:
            _wait_until_met(between, fault)
        between.fault = lambda: Fault.NONE
        running.goes_on()
    assert running.lost == 0, "every request was answered"
    assert running.refusals.keys() == {"database_unavailable"}
    assert sum(one.is_stored for one in running.requests) > FAULTS_OF_A_KIND
    ledger.check(connection, running, after=head)
    ledger.verify(beside.env)


class Dice:
    """Each fifth commit or so meets a fault, the same ones in each run."""

    FAULTS = (Fault.DROPPED_BEFORE, Fault.DROPPED_AFTER)

    def __init__(self) -> None:
        self._random = random.Random("faults")  # noqa: S311  a plan, no secret

    def __call__(self) -> Fault:
        is_met = self._random.random() < 0.2
        return self._random.choice(self.FAULTS) if is_met else Fault.NONE


def _wait_until_met(between: Proxy, fault: Fault) -> None:
    wait_for(lambda: between.met[fault] >= FAULTS_OF_A_KIND, what=fault.name)
