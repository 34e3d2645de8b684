"""Whatever listeners and writers do, each listener is told the truth, and all of it.

Two server processes on one database. A failure can be run again by its seed, as far as
threads can: `pytest tests/ws/test_oracle.py -k seed-3`. To hunt for races, run many:
`ORACLE_SEEDS=60 pytest tests/ws/test_oracle.py`.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from random import Random

import pytest

from flux_project.embedded import EmbeddedPostgres
from tests.support import load, servers
from tests.support.client import Api
from tests.support.history import history, state
from tests.support.live import fence
from tests.support.roamer import Roamer
from tests.support.roaming import Pace, World
from tests.support.scribbler import Scribbler
from tests.support.servers import Server
from tests.support.streamer import Streamer

SEEDS = range(int(os.environ.get("ORACLE_SEEDS", "6")))
WRITERS = 3


@dataclass(frozen=True)
class Plan:
    """What a kind of listener does: so many of them, with pauses between its steps or
    reconnects; it sleeps so long each time when so many frames have come."""

    count: int
    longest_pause: float
    reconnects: int
    steps: int = 0
    every: int = 1
    sleep: float = 0.0

    def pace(self) -> Pace:
        return Pace(self.every, self.sleep)


ROAMERS = Plan(count=5, steps=50, longest_pause=0.04, reconnects=3)
SLOW_ROAMER = Plan(count=1, steps=17, longest_pause=0.04, reconnects=3, sleep=0.003)
STREAMERS = Plan(count=3, longest_pause=0.3, reconnects=8)
# They sleep until they are behind for too long. Few entities: what they missed is
# overwritten by then.
SLEEPERS = Plan(2, 1.2, reconnects=1, steps=9, every=600, sleep=4.5)
SLEEPING_STREAMERS = Plan(2, 2.0, reconnects=1, every=600, sleep=4.5)


@pytest.fixture(scope="module")
def two(postgres: EmbeddedPostgres) -> Iterator[Sequence[Server]]:
    # Who asks for everything is to hear of what happens here, not of other tests.
    database = servers.make_database(postgres, "oracle")
    with ExitStack() as started:
        found = []
        for _ in range(2):
            found.append(servers.serve(database))
            started.callback(found[-1].stop)
        yield found


@pytest.fixture
def api(two: Sequence[Server]) -> Iterator[Api]:
    client = Api(two[0].port)
    yield client
    client.close()


class Run:
    """Everybody who takes part."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.seed = seed
        self.roamers: list[Roamer] = []
        self.streamers: list[Streamer] = []
        self.writers = [
            Scribbler(world, self._random(f"w{number}")) for number in range(WRITERS)
        ]
        self._work: list[Callable[[], None]] = []

    def _random(self, who: str) -> Random:
        return Random(f"{self.seed} {who}")  # noqa: S311  a plan, no secret

    def add_roamers(self, plan: Plan) -> None:
        for _ in range(plan.count):
            random = self._random(f"r{len(self.roamers)}")
            one = Roamer(self.world, random, plan.pace())
            one.begin()
            self.roamers.append(one)
            self._work.append(
                partial(one.run, plan.steps, plan.reconnects, plan.longest_pause)
            )

    def add_streamers(self, plan: Plan) -> None:
        for _ in range(plan.count):
            random = self._random(f"s{len(self.streamers)}")
            one = Streamer(self.world, random, plan.pace())
            one.begin()
            self.streamers.append(one)
            self._work.append(partial(one.run, plan.reconnects, plan.longest_pause))

    def roam(self, *, writers_pause: float) -> None:
        """All of them at once, until the listeners have done their steps."""
        with ExitStack() as writing, ThreadPoolExecutor(len(self._work)) as threads:
            for writer in self.writers:
                writing.callback(writer.close)
                writing.enter_context(load.repeating(writer, pause=writers_pause))
            for task in [threads.submit(work) for work in self._work]:
                task.result()

    def settle(self, api: Api) -> None:
        """Holds what everybody was told against the log and the state."""
        upto = fence(api)
        while api.head() > upto:
            upto = fence(api)  # what was sent on a lost connection came behind it
        said = history(api, after=self.world.base)
        whole = state(api)
        mine = {key: one for key, one in whole.items() if self.world.is_mine(key)}
        for roamer in self.roamers:
            roamer.settle(mine, said, upto=upto)
        for streamer in self.streamers:
            streamer.settle(mine, said, upto=upto)
        for writer in self.writers:
            for seq, entity_id in writer.answered.items():
                assert said[seq].entity_id == entity_id

    def close(self) -> None:
        for roamer in self.roamers:
            roamer.socket.close()
        for streamer in self.streamers:
            streamer.stream.close()


def world(
    api: Api, two: Sequence[Server], *, entities: int, large: float, narrow: float
) -> World:
    tag = f"o{time.time_ns():x}-"
    ports = [one.port for one in two]
    return World(tag, api.head(), ports, entities, large, narrow)


@pytest.mark.parametrize("seed", SEEDS, ids="seed-{}".format)
def test_every_view_is_the_state_and_every_event_came_once(
    two: Sequence[Server], api: Api, seed: int
) -> None:
    run = Run(world(api, two, entities=80, large=0.1, narrow=0.5), seed)
    with closing(run):
        run.add_roamers(ROAMERS)
        run.add_roamers(SLOW_ROAMER)
        run.add_streamers(STREAMERS)
        run.roam(writers_pause=0.04)
        run.settle(api)


@pytest.mark.parametrize("seed", SEEDS[::6], ids="seed-{}".format)
def test_so_it_is_for_those_who_are_conflated(
    two: Sequence[Server], api: Api, seed: int
) -> None:
    """Whether somebody is, is a matter of chance: now and then nobody sleeps enough."""
    for attempt in range(3):
        run = Run(world(api, two, entities=1, large=0.5, narrow=0.0), seed + attempt)
        with closing(run):
            run.add_roamers(SLEEPERS)
            run.add_streamers(SLEEPING_STREAMERS)
            run.roam(writers_pause=0.015)
            run.settle(api)
        told = [one for roamer in run.roamers for one in roamer.told]
        told += [one for streamer in run.streamers for one in streamer.told]
        if any(one.account.skipped for one in told):
            return
    pytest.fail("nobody was conflated")
