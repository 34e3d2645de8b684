"""`python -m bench.growth`: does an event, or a read, cost more in a large log?

The same load is measured on a small log and on a large one, in R each time: a machine
drifts between the two. Some of it goes to a thousand busy entities, some is spread over
all there are, which is the worst case for every cache.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console
from rich.progress import Progress

from bench import __main__ as bench
from bench import report, rows, servers, traffic
from bench.measure import Figure, Lab, Pair, Spread
from bench.traffic import Order

MOST = 1.3
EVENTS_PER_ENTITY = 5
BUSY_ENTITIES = 1_000
BUSY_SHARE = 50  # of so many events, one goes to the busy entities
STEP_EVENTS = 50_000
FILL_SECONDS = 600.0
QUIET_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one item: in bare requests that fit into its time, and in processor time."""

    bare_requests: Spread
    micros: float


Costs = Mapping[str, Cost]  # by measure
_MEASURES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "history, 100 newest of a busy entity": ("busy", {"kind": "history"}),
    "GET, all entities": ("world", {"kind": "get"}),
    "GET, busy entities": ("busy", {"kind": "get"}),
    "single POST, busy entities": ("busy", {"kind": "publish"}),
    "single POST, all entities": ("world", {"kind": "publish"}),
    "batches, busy entities": ("busy", {"kind": "batch"}),
    "batches, all entities": ("world", {"kind": "batch"}),
}
_CONNECTIONS = {"history": 32, "get": 128, "publish": 128, "batch": 4}


class World:
    """A log that is filled up to a size, always with the same mixture."""

    def __init__(self, lab: Lab, console: Console) -> None:
        self.lab = lab
        self.console = console
        self.entities = 0
        self._begun_at = 0

    def orders(self) -> dict[str, Order]:
        batch = self.lab.order("batch", rows.BATCH_CONNECTIONS, seconds=FILL_SECONDS)
        return {
            "busy": replace(batch, fleet="busy", entities=BUSY_ENTITIES),
            "world": replace(batch, fleet="world", entities=self.entities),
        }

    def fill(self, events: int) -> None:
        """Up to so many events in the log, with one entity for every five of them."""
        self.entities = events // EVENTS_PER_ENTITY
        self._begun_at = self.lab.filled.get("world", 0)
        with Progress(console=self.console) as progress:
            task = progress.add_task(f"Filling to {events:,} events", total=events)
            for head in self._steps(events):
                progress.update(task, completed=min(head, events))

    def _steps(self, events: int) -> Iterator[int]:
        if not self.lab.head():
            rows.fill(self.lab, self.orders()["busy"], events=100 * BUSY_ENTITIES)
        while (head := self.lab.head()) < events:
            yield head
            step = min(STEP_EVENTS, events - head)
            self._add("world", step)
            self._add("busy", step // BUSY_SHARE)
        had_turn = self.lab.filled.get("world", 0) - self._begun_at
        if had_turn < self.entities:
            self._add("world", self.entities - had_turn)
        yield events

    def _add(self, fleet: str, events: int) -> None:
        order = self.orders()[fleet]
        requests = -(-events // traffic.BATCH_EVENTS)
        self.lab.take(replace(order, most=requests))

    def be_quiet(self) -> None:
        """Waits until PostgreSQL has tidied up after the filling, as it always does."""
        until = time.monotonic() + QUIET_SECONDS
        with self.lab.flux.connect() as connection:
            connection.execute("CHECKPOINT")
            while time.monotonic() < until:
                row = connection.execute(
                    "SELECT count(*) FROM pg_stat_progress_vacuum"
                ).fetchone()
                if row is None or not row[0]:
                    return
                time.sleep(1)

    def costs(self) -> Costs:
        """Each measure's cost of one item, in the time a bare request takes."""
        found = {}
        for name, (fleet, load) in _MEASURES.items():
            self.console.print(f"Measuring: {name} …")
            connections = _CONNECTIONS[load["kind"]]
            order = self.lab.order(connections=connections, **load)
            entities = self.orders()[fleet].entities
            pairs = self.lab.alternate(replace(order, fleet=fleet, entities=entities))
            bare_requests = Spread.of(_bare_requests(pair, order) for pair in pairs)
            found[name] = Cost(bare_requests, _micros(pairs, order))
        return found


def _bare_requests(pair: Pair, order: Order) -> float:
    items = pair.taken.counted * max(1, order.events_per_request)
    return pair.r * pair.taken.seconds / items


def _micros(pairs: list[Pair], order: Order) -> float:
    items = sum(pair.taken.answers for pair in pairs) * max(1, order.events_per_request)
    return sum(pair.cpu.server + pair.cpu.postgres for pair in pairs) / items * 1e6


def compare(before: tuple[int, Costs], after: tuple[int, Costs]) -> list[Figure]:
    """How much more each measure costs in the large log."""
    (few, small), (many, large) = before, after
    return [
        Figure(
            name=name,
            what=name,
            value=large[name].bare_requests,
            unit=f"bare requests at {many:,} events",
            relative=_ratio(small[name].bare_requests, large[name].bare_requests),
            relative_unit="times",
            target=MOST,
            is_upper_bound=True,
            notes=(
                f"{report.spread(small[name].bare_requests)} at {few:,} events",
                f"processor time {small[name].micros:,.0f} µs, then"
                f" {large[name].micros:,.0f} µs",
            ),
        )
        for name in small
    ]


def _ratio(small: Spread, large: Spread) -> Spread:
    return Spread(
        large.median / small.median, large.low / small.high, large.high / small.low
    )


def arguments() -> argparse.Namespace:
    reader = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    bench.common(reader)
    reader.add_argument("--events", type=int, default=5_000_000, help="the large log")
    reader.add_argument("--small", type=int, default=110_000, help="the small log")
    given = reader.parse_args()
    if not 110_000 <= given.small < given.events:
        reader.error("110,000 <= --small < --events is needed")
    return given


def run(given: argparse.Namespace, console: Console) -> None:
    with bench.lab(given) as lab:
        facts: dict[str, object] = dict(servers.machine(lab.flux))
        world = World(lab, console)
        found: list[tuple[int, Costs]] = []
        for events in (given.small, given.events):
            begun = time.monotonic()
            world.fill(events)
            world.be_quiet()
            facts[f"seconds to {events} events"] = round(time.monotonic() - begun)
            facts[f"bytes at {events} events"] = lab.flux.data_bytes()
            found.append((events, world.costs()))
        bench.verify(lab, console)
    console.print(", ".join(f"{name} {value}" for name, value in facts.items()))
    figures = compare(*found)
    bench.finish(given, console, figures, lab, facts)


if __name__ == "__main__":
    bench.main(arguments, run)
