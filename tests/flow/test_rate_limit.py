"""Two processes, many writers, one limit: never one event more than it allows."""

import itertools
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg
import pytest

from flux_project.embedded import EmbeddedPostgres
from tests.support import servers, session
from tests.support.client import Answer, Api, event
from tests.support.servers import Server
from tests.support.tenant import Tenant, configure, register

LIMIT = 1_000
WRITERS = 40
SECONDS = 5.0
POLICY = f'"namespace";q={LIMIT};w=60'
_LEFT = re.compile(r'"namespace";r=(\d+);t=(\d+)')


@pytest.fixture(scope="module")
def pair(postgres: EmbeddedPostgres) -> Iterator[list[Server]]:
    """Two processes on one database of their own, whose config nobody else changes."""
    database = servers.make_database(postgres, "rate_limit")
    started = [servers.serve(database, FLUX_AUTH_ENABLED="true") for _ in range(2)]
    yield started
    for server in started:
        server.stop()


@pytest.fixture
def first(pair: list[Server]) -> Iterator[Api]:
    """A client of the one process."""
    client = Api(pair[0].port)
    yield client
    client.close()


@pytest.fixture
def second(pair: list[Server]) -> Iterator[Api]:
    """A client of the other one."""
    client = Api(pair[1].port)
    yield client
    client.close()


def limit(api: Api, **values: object) -> None:
    """Changes the config; it is in force everywhere within a second."""
    configure(api, **values)
    time.sleep(1.1)


def recorded(namespace: str) -> list[float]:
    """When each event of a namespace was committed, in the order of the log."""
    with psycopg.connect(session.database_url("rate_limit")) as connection:
        rows = connection.execute(
            "SELECT extract(epoch FROM recorded_at)::float8 FROM events_event"
            " WHERE namespace = %s ORDER BY seq",
            (namespace,),
        ).fetchall()
    return [at for (at,) in rows]


def assert_within(times: list[float], limit: int) -> None:
    """In no stretch of time more than a full bucket and what ran out meanwhile.

    The bucket's own clock is read some statements behind the event's: by the time of
    one commit, which is less than one event's worth.
    """
    spent, at = 0.0, 0.0
    for now in times:
        spent = max(0.0, spent - (now - at) * limit / 60) + 1
        at = now
        assert spent < limit + 1, (spent, len(times))


@dataclass
class Writer:
    """Publishes until it is told to stop; every second one obeys `Retry-After`."""

    server: Server
    tenant: Tenant
    number: int
    stop: threading.Event
    stored: int = 0
    refused: int = 0
    faults: list[str] = field(default_factory=list)

    def run(self) -> None:
        api = Api(self.server.port)
        try:
            for turn in itertools.count():
                if self.stop.is_set():
                    return
                self.count(self.write(api, turn), turn)
        except Exception as error:
            self.faults.append(repr(error))
            raise
        finally:
            api.close()

    def write(self, api: Api, turn: int) -> Answer:
        name = f"{self.tenant.name}/writer-{self.number}"
        if turn % 7 == 3:
            batch = [event(name, {"n": n}) for n in range(5)]
            header = self.tenant.header
            return api.post("/api/events/batch", batch, authorization=header)
        if turn % 11 == 5:
            path = f"/api/state/entities/{name}"
            return api.ask("DELETE", path, authorization=self.tenant.header)
        return self.tenant.publish(api, f"writer-{self.number}", n=turn)

    def count(self, answer: Answer, turn: int) -> None:
        self.check_headers(answer)
        if answer.status == 200 and "results" in answer.json:
            self.stored += answer.json["successful"]
            self.refused += answer.json["failed"]
        elif answer.status == 200:
            self.stored += 1
        elif answer.status == 429:
            self.refused += 1
            assert answer.code == "rate_limited"
            wait = int(answer.headers["retry-after"])
            assert 1 <= wait <= 60
            if self.number % 2:
                self.stop.wait(wait)
            else:
                time.sleep(0.01)  # it asks again and again, and leaves others room
        elif answer.status != 404:  # deleted just now
            self.faults.append(f"{answer.status} {answer.body!r}")

    def check_headers(self, answer: Answer) -> None:
        assert answer.headers["ratelimit-policy"] == POLICY
        match = _LEFT.fullmatch(answer.headers["ratelimit"])
        assert match is not None
        left, until_full = int(match[1]), int(match[2])
        assert 0 <= left <= LIMIT
        # Both are of one moment; what is left is rounded down, the seconds up.
        assert abs((LIMIT - left) - until_full * LIMIT / 60) <= LIMIT / 60 + 1


def test_many_writers_of_two_processes_never_exceed_the_limit(
    pair: list[Server], first: Api
) -> None:
    limit(first, rate_limit_per_namespace_per_minute=LIMIT)
    crowded = register(first, "rate-crowded")
    quiet = register(first, "rate-quiet")
    stop = threading.Event()
    writers = [
        Writer(pair[number % 2], crowded, number, stop) for number in range(WRITERS)
    ]
    threads = [threading.Thread(target=writer.run) for writer in writers]
    for thread in threads:
        thread.start()
    until = time.monotonic() + SECONDS
    others: list[Answer] = []
    while time.monotonic() < until:
        others.append(quiet.publish(first, "one", n=len(others)))
        time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert [writer.faults for writer in writers if writer.faults] == []

    times = recorded(crowded.name)
    assert len(times) == sum(writer.stored for writer in writers)
    assert_within(times, LIMIT)
    # All that the bucket had to give was given, by both processes, and it ran dry.
    assert len(times) >= LIMIT
    assert min(sum(w.refused for w in writers[half::2]) for half in (0, 1)) > 0
    # Nobody else's writes were refused meanwhile.
    assert {answer.status for answer in others} == {200}


def test_who_waits_as_told_is_let_in(first: Api, second: Api) -> None:
    """Whatever is asked for, on the other process than the one that refused it."""
    limit(first, rate_limit_per_namespace_per_minute=60)
    tenant = register(first, "rate-waiting")
    batch = [event(f"{tenant.name}/e{n}", {}) for n in range(70)]
    header = tenant.header
    answer = first.post("/api/events/batch", batch, authorization=header)
    assert (answer.json["successful"], answer.json["failed"]) == (60, 10)
    assert {each["code"] for each in answer.json["results"][60:]} == {"rate_limited"}
    for asked in (first, second, first):
        refused = tenant.publish(asked, "one")
        assert refused.status == 429
        other = second if asked is first else first
        time.sleep(int(refused.headers["retry-after"]))
        assert tenant.publish(other, "one").status == 200
    # Deletes cost what they delete, all of it or nothing.
    body = {"entity_ids": [f"{tenant.name}/e{n}" for n in range(3)]}
    path = "/api/state/entities/delete"
    refused = first.post(path, body, authorization=header)
    assert refused.status == 429
    wait = int(refused.headers["retry-after"])
    assert wait >= 2
    time.sleep(wait)
    deleted = second.post(path, body, authorization=header)
    assert (deleted.status, deleted.json["deleted"]) == (200, 3)
    assert_within(recorded(tenant.name), 60)


def test_what_is_sent_again_costs_nothing(first: Api, second: Api) -> None:
    """A duplicate is answered though the namespace has nothing left."""
    limit(first, rate_limit_per_namespace_per_minute=3)
    tenant = register(first, "rate-again")
    header = tenant.header
    told = event(f"{tenant.name}/one", {"a": 1}) | {"eventId": "once"}
    stored = first.post("/api/events", told, authorization=header)
    assert stored.headers["ratelimit"].startswith('"namespace";r=2;')
    assert [tenant.publish(first, "two").status for _ in range(3)] == [200, 200, 429]
    for api in (first, second):
        again = api.post("/api/events", told, authorization=header)
        assert again.status == 200
        assert again.json == {**stored.json, "duplicate": True}
    assert tenant.publish(first, "two").status == 429


def test_without_a_limit_nothing_is_spent_and_nothing_said(first: Api) -> None:
    limit(first, rate_limit_enabled=False, rate_limit_per_namespace_per_minute=1)
    tenant = register(first, "rate-free")
    answers = [tenant.publish(first, "one", n=n) for n in range(5)]
    assert {answer.status for answer in answers} == {200}
    assert not any("ratelimit" in answer.headers for answer in answers)
    limit(first, rate_limit_enabled=True)
    assert [tenant.publish(first, "one").status for _ in range(2)] == [200, 429]


def test_who_wrote_much_waits_a_minute_at_most_when_the_limit_is_lowered(
    first: Api, second: Api
) -> None:
    limit(first, rate_limit_enabled=True, rate_limit_per_namespace_per_minute=5_000)
    tenant = register(first, "rate-lowered")
    batch = [event(f"{tenant.name}/e{n}", {}) for n in range(500)]
    answer = first.post("/api/events/batch", batch, authorization=tenant.header)
    assert answer.json["successful"] == 500
    limit(first, rate_limit_per_namespace_per_minute=20)
    for api in (first, second, first):
        answers = [tenant.publish(api, "one") for _ in range(4)]
        assert answers[-1].status == 429
        wait = int(answers[-1].headers["retry-after"])
        assert wait <= 3
        time.sleep(wait)
        assert tenant.publish(api, "one").status == 200
