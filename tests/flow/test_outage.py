"""The database is away for a while: 503 meanwhile, then all goes on by itself."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.support import ledger, load
from tests.support.client import Api, Line, event, request
from tests.support.load import Load
from tests.support.servers import Flux, wait_for

StartFlux = Callable[..., Flux]
AWAY_SECONDS = 10.0
FROZEN_SECONDS = 12.0
MAY_BE_SAID = {"database_unavailable", "outcome_unknown", "overloaded"}

READS = [
    "/api/health",
    "/api/events",
    "/api/events?entity=crowd/1",
    "/api/state/entities",
    "/api/state/entities?limit=2",
    "/api/state/entities/crowd/1",
]
_EVENT = event("crowd/1", {"mark": "never stored"})
WRITES: list[tuple[str, str, object]] = [
    ("POST", "/api/events", _EVENT),
    ("POST", "/api/events/batch", {"events": [_EVENT, _EVENT]}),
    ("POST", "/api/state/entities/delete", {"prefix": "crowd/"}),
    ("DELETE", "/api/state/entities/crowd/1", None),
]


@pytest.fixture
def flux(start_flux: StartFlux) -> Flux:
    return start_flux(FLUX_WORKERS="2")


@contextmanager
def frozen(pids: Sequence[int]) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def everything_is_refused(api: Api) -> None:
    """The client has checked the shape of every answer."""
    asked = [("GET", path, None) for path in READS] + WRITES
    for method, path, body in asked:
        answer = api.ask(method, path, body)
        found = (answer.status, answer.code)
        assert found == (503, "database_unavailable"), (method, path, answer)
        assert int(answer.headers["retry-after"]) > 0


def what_needs_no_database_is_answered(flux: Flux) -> None:
    """On the lane and beside it, though other requests hang."""
    thaw = time.monotonic() + FROZEN_SECONDS
    with ThreadPoolExecutor(1) as threads:
        health = threads.submit(_health, flux)
        while time.monotonic() < thaw:
            api = Api(flux.port)
            assert api.post("/api/events", {}).status == 400
            assert api.get("/api/nowhere").status == 404
            api.close()
            time.sleep(0.1)
        assert health.done(), "health says so while the database stands still"
        assert health.result() == 503


def _health(flux: Flux) -> int:
    api = Api(flux.port)
    status = api.get("/api/health").status
    api.close()
    return status


def goes_on_as_before(flux: Flux, running: Load, workers: list[int]) -> None:
    running.goes_on(100)
    api = Api(flux.port)
    # The live feed tries again twice a second; health waits for that.
    wait_for(lambda: api.get("/api/health").status == 200, what="health")
    for path in READS[:-1]:
        assert api.get(path).status == 200, path
    assert api.get(READS[-1]).status in {200, 404}
    api.close()
    assert flux.worker_pids() == workers, "nobody had to start again"


def nothing_is_lost(flux: Flux, running: Load) -> None:
    assert running.lost == 0, "every request was answered"
    assert running.refusals.keys() <= MAY_BE_SAID
    with ledger.of(flux) as connection:
        ledger.check(connection, running)
    ledger.verify(flux.env)


def test_the_database_is_stopped_and_comes_back(flux: Flux) -> None:
    """Its supervisor is frozen meanwhile, so that it is not started again at once."""
    workers = flux.worker_pids()
    with load.running([flux.port]) as running:
        running.goes_on(100)
        with frozen([flux.process.pid]):
            os.kill(flux.postmaster_pid(), signal.SIGINT)
            wait_for(lambda: not flux.postgres_pids(), what="its end")
            back = time.monotonic() + AWAY_SECONDS
            apis = [Api(flux.port) for _ in range(4)]
            while time.monotonic() < back:
                for api in apis:
                    everything_is_refused(api)
            for api in apis:
                api.close()
        goes_on_as_before(flux, running, workers)
    assert running.refusals["database_unavailable"]
    nothing_is_lost(flux, running)


def test_the_database_freezes_and_thaws(flux: Flux) -> None:
    """Connections stay open and nothing answers, as when a machine is suspended."""
    workers = flux.worker_pids()
    with load.running([flux.port]) as running:
        running.goes_on(100)
        with frozen(flux.postgres_pids()):
            hanging = [Line(flux.port) for _ in READS]
            for line, path in zip(hanging, READS, strict=True):
                line.send(request("GET", path))
            what_needs_no_database_is_answered(flux)
        for line in hanging:
            assert line.answer().status in {200, 404, 503}
            line.close()
        goes_on_as_before(flux, running, workers)
    nothing_is_lost(flux, running)
