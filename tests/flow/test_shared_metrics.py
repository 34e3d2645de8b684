"""Several workers answer `GET /metrics` as one, whichever of them is asked."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from prometheus_client.mmap_dict import MmapedDict

from flux_project import shared_metrics
from tests.support import all_series, scrape, session
from tests.support.client import Api, HungUp
from tests.support.live import Socket, Stream
from tests.support.scrape import Scrape
from tests.support.servers import Flux, wait_for

StartFlux = Callable[..., Flux]
WORKERS = 2
LISTENERS = 12
SECONDS = 30.0
# One of each kind for each place of a worker, whoever has been there.
WANTED = {
    f"{kind}_{number}.db"
    for kind in ("counter", "histogram", "gauge_livemin", "gauge_livesum")
    for number in range(1, WORKERS + 1)
}


@pytest.fixture
def flux(start_flux: StartFlux) -> Flux:
    return start_flux(FLUX_WORKERS=str(WORKERS))


def ask(flux: Flux) -> Scrape:
    """A scrape over a connection of its own, so that any worker may get it."""
    api = Api(flux.port)
    try:
        return scrape.of(api)
    finally:
        api.close()


def until(flux: Flux, is_so: Callable[[Scrape], bool], *, what: str) -> None:
    """Until so many scrapes in a row are so that both workers were asked, most likely.

    What is counted in plain numbers takes a second to reach the others.
    """

    def all_say_so() -> bool:
        try:
            return all(is_so(ask(flux)) for _ in range(8))
        except (HungUp, ConnectionError):  # a worker was just killed
            return False

    wait_for(all_say_so, what=what, seconds=SECONDS)


def published_on(flux: Flux, number: int) -> float:
    """How many events a worker has answered for."""
    place = shared_metrics.directory(flux.data_dir) / f"counter_{number}.db"
    values = MmapedDict.read_all_values_from_file(str(place))  # type: ignore[no-untyped-call]  # it has no types
    return sum(float(value) for key, value, *_ in values if '"/api/events"' in key)


def publish(flux: Flux, count: int) -> None:
    for _ in range(count):
        api = Api(flux.port)
        api.publish("a", x=1)
        api.close()


def publish_until_all_have_served(flux: Flux) -> int:
    """How many events there are then."""
    total = 0
    while not all(published_on(flux, number) for number in range(1, WORKERS + 1)):
        assert total < 2_000, "one worker gets nothing"
        publish(flux, 20)
        total += 20
        ask(flux)  # who answers brings its own counters up to date
    return total


def events(found: Scrape) -> float:
    return found.value("events_committed_total")


def listening(found: Scrape) -> tuple[float, float]:
    return found.value("listeners", kind="ws"), found.value("listeners", kind="sse")


def test_any_worker_says_what_all_have_counted(flux: Flux) -> None:
    total = publish_until_all_have_served(flux)
    until(flux, lambda found: events(found) == total, what=f"{total} events")
    sent = {"route": "/api/events", "method": "POST", "status": "2xx"}
    found = ask(flux)
    assert found.value("http_requests_total", **sent) == total
    assert found.total("commits_total") == total
    assert found.value("commit_events_sum") == total
    assert found.values("pid") == set(), "a worker is nobody's time series"
    until(flux, lambda found: found.value("feed_seq") == total, what="both feeds there")


@pytest.fixture
def listeners(flux: Flux) -> Iterator[list[Socket | Stream]]:
    with ExitStack() as opened:
        made: list[Socket | Stream] = [
            opening(flux.port).listen()
            for opening in (Socket, Stream)
            for _ in range(LISTENERS)
        ]
        for one in made:
            opened.callback(one.close)
        yield made


def files(flux: Flux) -> set[str]:
    return {one.name for one in shared_metrics.directory(flux.data_dir).iterdir()}


def busiest(flux: Flux) -> int:
    """The worker with the most connections."""
    workers = [psutil.Process(pid) for pid in flux.worker_pids()]
    return max(workers, key=lambda one: len(one.net_connections("tcp"))).pid


def test_a_killed_worker_takes_its_listeners_along_and_leaves_its_counts(
    flux: Flux, listeners: list[Socket | Stream]
) -> None:
    total = publish_until_all_have_served(flux)
    both = (LISTENERS, LISTENERS)
    until(flux, lambda found: listening(found) == both, what="all listeners")
    until(flux, lambda found: events(found) == total, what="all events")
    before = ask(flux)
    os.kill(busiest(flux), signal.SIGKILL)

    def left() -> tuple[int, int]:
        still = [one for one in listeners if one.end is None]
        sockets = sum(isinstance(one, Socket) for one in still)
        return sockets, len(still) - sockets

    wait_for(lambda: left() != both, what="an end of some", seconds=SECONDS)
    until(flux, lambda found: listening(found) == left(), what="those that are left")
    wait_for(lambda: files(flux) == WANTED, what="another worker in its place")
    after = ask(flux)
    for name in ("events_committed_total", "commit_events_sum", "frames_sent_total"):
        assert after.value(name) >= before.value(name) > 0
    publish(flux, 10)
    until(flux, lambda found: events(found) == total + 10, what="more events")
    until(flux, lambda found: listening(found) == left(), what="no others")
    assert files(flux) == WANTED


def test_a_new_start_begins_at_nothing(flux: Flux, start_flux: StartFlux) -> None:
    publish(flux, 3)
    until(flux, lambda found: events(found) == 3, what="three events")
    flux.stop()
    left_behind = shared_metrics.directory(flux.data_dir) / "counter_7.db"
    shutil.copy(left_behind.with_name("counter_1.db"), left_behind)
    again = start_flux(like=flux)
    assert not left_behind.exists()
    assert events(ask(again)) == 0
    until(again, lambda found: found.value("feed_seq") == 3, what="the end of the log")


def test_without_its_files_a_worker_serves_all_the_same(flux: Flux) -> None:
    """As on a disk that is full when the worker starts."""
    place = shared_metrics.directory(flux.data_dir)
    shutil.rmtree(place)
    for pid in flux.worker_pids():
        os.kill(pid, signal.SIGKILL)
    said = "this worker counts for itself alone"
    wait_for(lambda: flux.output().count(said) == WORKERS, what=said)
    api = Api(flux.port)
    wait_for(lambda: api.get("/api/health").status == 200, what="health")
    api.publish("a", x=1)
    assert events(scrape.of(api)) == 1
    api.close()


def test_a_file_in_the_place_of_the_directory_stops_the_start(
    start_flux: StartFlux,
) -> None:
    blocked = Flux(session.DIRECTORY / "flux-blocked")
    blocked.data_dir.mkdir(mode=0o711)
    place = shared_metrics.directory(blocked.data_dir)
    place.write_text("not a directory")
    flux = start_flux(wait=False, like=blocked)
    assert flux.process.wait(timeout=2 * SECONDS) == 1
    assert f"Cannot empty the directory {place}" in flux.output()


def test_no_file_ever_needs_more_room_than_it_has(tmp_path: Path) -> None:
    """They are mapped into memory: who writes where a full disk has no room ends."""
    place = shared_metrics.directory(tmp_path)
    place.mkdir()
    for number in (1, 2):
        shown = all_series.made(tmp_path, number)
    assert 1_000 < shown["series"] < 6_000
    files = list(place.iterdir())
    assert len(files) == 8
    for file in files:
        found = file.stat()
        assert found.st_size == shared_metrics.FILE_BYTES, f"{file} has grown"
        assert found.st_blocks * 512 >= found.st_size, f"{file} has holes"
