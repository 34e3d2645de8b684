"""Many writers on two server processes: one order, nothing lost, nothing twice."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier
from typing import Any

from tests.support import ledger, load
from tests.support.client import Api, Line, event, request
from tests.support.ledger import Follower, HttpFollower
from tests.support.servers import Flux, Server

StartFlux = Callable[..., Flux]
StartServer = Callable[..., Server]

WRITERS = 50
REQUESTS_EACH = 60
SAME_ID_WRITERS = 20


def test_commit_order_is_seq_order_to_whoever_reads_meanwhile(
    start_flux: StartFlux,
) -> None:
    flux = start_flux(FLUX_WORKERS="2")
    with (
        ledger.of(flux) as connection,
        ledger.of(flux) as another,
        closing(HttpFollower(flux.port)) as by_http,
    ):
        by_database = Follower(another)
        with (
            load.repeating(by_database),
            load.repeating(by_http, pause=0.05),
            load.running([flux.port], writers=WRITERS, limit=REQUESTS_EACH) as running,
        ):
            assert len(flux.worker_pids()) == 2
        assert all(one.is_stored for one in running.requests), running.refusals
        assert not any(one.duplicates for one in running.requests)
        assert len(running.requests) == WRITERS * REQUESTS_EACH
        events = ledger.check(connection, running)
        assert _committers(connection) == 2, "one process had all of it"
    assert by_database.seen == by_http.seen == events
    assert min(by_database.rounds, by_http.rounds) > 5, "they read meanwhile"
    assert len(set(by_http.marks.values())) == events
    ledger.verify(flux.env)


def _committers(connection: ledger.Database) -> int:
    """How many server processes have committed anything."""
    row = connection.execute(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE application_name = 'flux committer'"
    ).fetchone()
    return int(row[0]) if row else 0


def test_one_event_id_from_twenty_writers_is_stored_once(
    start_server: StartServer,
) -> None:
    servers = [start_server(), start_server()]
    apis = [Api(servers[turn % 2].port) for turn in range(SAME_ID_WRITERS)]
    for number in range(5):
        before = apis[0].head()
        event_id = f"{apis[0].space} {number}"
        answers = _publish_at_once(apis, event_id)
        assert {answer["seq"] for answer in answers} == {before + 1}
        assert {answer["eventId"] for answer in answers} == {event_id}
        # The first answer is everybody's answer: the stream of whoever came first.
        assert len({answer["stream"] for answer in answers}) == 1
        assert sum("duplicate" not in answer for answer in answers) == 1
        assert [apis[1].head(), apis[0].head()] == [before + 1] * 2
    for api in apis:
        api.close()


def _publish_at_once(apis: list[Api], event_id: str) -> list[dict[str, Any]]:
    gate = Barrier(len(apis))

    def publish(place: int) -> dict[str, Any]:
        body = event(apis[0].id("one"), {"by": place}, eventId=event_id)
        gate.wait(timeout=30)
        answer = apis[place].post("/api/events", body | {"stream": f"by.{place}"})
        assert answer.status == 200, answer
        found: dict[str, Any] = answer.json
        return found

    with ThreadPoolExecutor(len(apis)) as threads:
        return list(threads.map(publish, range(len(apis))))


def test_an_acknowledged_write_is_seen_by_every_process_at_once(
    start_server: StartServer,
) -> None:
    servers = [start_server(), start_server(FLUX_LANE="false"), start_server()]
    writers = [Api(server.port) for server in servers]
    for number in range(60):
        writer = writers[number % 3]
        seq = writer.publish("seen", number=number)
        for server in servers:
            _expect(server.port, writer.id("seen"), seq)
    for writer in writers:
        writer.close()


def _expect(port: int, entity_id: str, seq: int) -> None:
    """On a fresh connection: the entity, the list and the log show this very write."""
    line = Line(port)
    for path in (
        f"/api/state/entities/{entity_id}",
        f"/api/state/entities?prefix={entity_id}",
        f"/api/events?limit=1&entity={entity_id}",
    ):
        line.send(request("GET", path))
        found = line.answer().json
        newest = found[0] if isinstance(found, list) else found
        assert newest["seq"] == seq, (path, newest)
    line.close()
