"""Runs of the load generator against both servers, in turn, and what they showed.

The unit R is the bare handler's requests/s with 32 connections. A machine's speed
drifts by the minute, so every figure has an R of its own, measured just before it.
"""

import copy
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from bench import traffic
from bench.load import Taken
from bench.servers import PROJECT, Bare, CannotMeasure, Cpu, Flux
from bench.traffic import Kind, Order

BARE_CONNECTIONS = 32
WARM_UP_SECONDS = 0.5
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Spread:
    """Several measurements of one thing."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        found = sorted(values)
        return cls(statistics.median(found), found[0], found[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table.

    relative: the same measurements in the unit the target is in, when it has one of
    its own; target: a bound for it, or for the absolute value when there is none.
    """

    name: str
    what: str
    value: Spread
    unit: str
    relative: Spread | None = None
    relative_unit: str = ""
    target: float | None = None
    is_upper_bound: bool = False
    notes: tuple[str, ...] = ()

    @property
    def is_met(self) -> bool | None:
        """Whether the median meets the target; None without one."""
        if self.target is None:
            return None
        measured = (self.relative or self.value).median
        if self.is_upper_bound:
            return measured <= self.target
        return measured >= self.target


@dataclass(frozen=True, slots=True)
class Pair:
    """A measurement, and R just before it."""

    r: float
    taken: Taken
    cpu: Cpu  # spent during the measurement
    commits: int


class Lab:
    """Everything a row needs: both servers, and how long and how often to measure."""

    def __init__(self, flux: Flux, bare: Bare, *, seconds: float, pairs: int) -> None:
        self.flux = flux
        self._bare_process = bare.process
        self.seconds = seconds
        self.pairs = pairs
        self.idle_mib = 0.0
        self.r: list[float] = []
        self.bare_micros: list[float] = []
        self.filled: dict[str, int] = {}  # acknowledged events by fleet
        self._bare = Order(
            kind="bare", port=bare.port, connections=BARE_CONNECTIONS, seconds=seconds
        )
        self._reads = 0

    def beside(self, flux: Flux) -> "Lab":
        """The same for another Flux."""
        other = copy.copy(self)
        other.flux, other.filled, other._reads = flux, {}, 0
        return other

    def order(self, kind: Kind, connections: int, **changes: object) -> Order:
        order = Order(
            kind=kind,
            port=self.flux.port,
            connections=connections,
            seconds=self.seconds,
        )
        return replace(order, **changes)  # type: ignore[arg-type]  # its own fields

    def measure_r(self) -> float:
        """R, now."""
        before = self._bare_cpu()
        taken = generate(self._bare)
        if taken.faults:
            raise CannotMeasure("; ".join(taken.faults))
        self.r.append(taken.counted / taken.seconds)
        self.bare_micros.append((self._bare_cpu() - before) / taken.answers * 1e6)
        return self.r[-1]

    def _bare_cpu(self) -> float:
        times = self._bare_process.cpu_times()
        return float(times.user + times.system)

    def take(self, order: Order) -> Taken:
        """One run against Flux, checked: the log grew by what was acknowledged."""
        order = replace(order, first=self._first(order))
        before = self.head()
        taken = generate(order)
        if taken.faults:
            raise CannotMeasure("; ".join(taken.faults))
        self._check_log(order, taken, before)
        self.filled[order.fleet] = self.filled.get(order.fleet, 0) + taken.events
        if not order.events_per_request:
            self._reads += taken.answers
        return taken

    def _first(self, order: Order) -> int:
        """Events of a fleet are numbered on, so that each entity has its turn."""
        if order.events_per_request:
            return self.filled.get(order.fleet, 0)
        return self._reads

    def alternate(self, order: Order) -> list[Pair]:
        """Bare, Flux, bare, Flux … after a short run that warms both."""
        warm = min(WARM_UP_SECONDS, order.seconds)
        generate(replace(self._bare, seconds=warm))
        self.take(replace(order, seconds=warm))
        return [self.pair(order) for _ in range(self.pairs)]

    def pair(self, order: Order) -> Pair:
        """R, and a run against Flux."""
        r = self.measure_r()
        before = self.flux.clock()
        taken = self.take(order)
        spent = self.flux.clock().since(before)
        return Pair(r, taken, spent, self._commits(taken))

    def _commits(self, taken: Taken) -> int:
        """In how many transactions the events of a run were written."""
        with self.flux.connect() as connection:
            row = connection.execute(
                "SELECT count(DISTINCT recorded_at) FROM events_event"
                " WHERE seq BETWEEN %s AND %s",
                (taken.first_seq, taken.last_seq),
            ).fetchone()
        return int(row[0]) if row else 0

    def head(self) -> int:
        with self.flux.connect() as connection:
            row = connection.execute(
                "SELECT coalesce(max(seq), 0) FROM events_event"
            ).fetchone()
        return int(row[0]) if row else 0

    def _check_log(self, order: Order, taken: Taken, before: int) -> None:
        """What was acknowledged, and nothing else, is in the log as it was sent."""
        grown = self.head() - before
        expected = taken.answers * order.events_per_request
        if not grown == expected == taken.events:
            message = (
                f"{expected} events were sent, {taken.events} acknowledged,"
                f" and the log grew by {grown}"
            )
            raise CannotMeasure(message)
        if taken.events and (taken.first_seq, taken.last_seq) != (
            before + 1,
            before + grown,
        ):
            message = f"not the places behind {before}: {taken.first_seq} …"
            raise CannotMeasure(message)
        self._check_samples(order, taken)

    def _check_samples(self, order: Order, taken: Taken) -> None:
        by_seq = {seq: number for number, seq in taken.samples}
        with self.flux.connect() as connection:
            rows = connection.execute(
                "SELECT seq, payload FROM events_event WHERE seq = ANY(%s)",
                (list(by_seq),),
            ).fetchall()
        stored = {seq: text.encode() for seq, text in rows}
        for seq, number in by_seq.items():
            if stored.get(seq) != traffic.payload(order, number):
                message = f"event {seq} is not what was sent: {stored.get(seq)!r}"
                raise CannotMeasure(message)


def generate(order: Order) -> Taken:
    """One run of the load generator, in a process of its own."""
    taken = Taken(**in_process("bench.load", asdict(order), seconds=order.seconds))
    taken.samples = [(number, seq) for number, seq in taken.samples]
    return taken


def in_process(
    module: str, given: Mapping[str, object], *, seconds: float
) -> dict[str, Any]:
    """What a module of ours says, as a process that takes about `seconds`."""
    text = json.dumps({**given, "parent": os.getpid()})
    # A file takes what it found: a few megabytes through a pipe were measured to arrive
    # incomplete now and then, without an error on either side.
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.run(  # noqa: S603  ourselves
            [sys.executable, "-m", module, text],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            timeout=seconds + PATIENCE_SECONDS,
        )
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            raise CannotMeasure(errors.read())
        said: dict[str, Any] = json.load(output)
    return said


def rate_figure(
    pairs: list[Pair],
    *,
    name: str,
    what: str,
    unit: str,
    target: float | None,
    per_answer: int = 1,
) -> Figure:
    """Answers (times `per_answer`) a second, absolute and in R, with their cost."""
    rates = [pair.taken.counted * per_answer / pair.taken.seconds for pair in pairs]
    return Figure(
        name=name,
        what=what,
        value=Spread.of(rates),
        unit=unit,
        relative=Spread.of(
            rate / pair.r for rate, pair in zip(rates, pairs, strict=True)
        ),
        relative_unit="R",
        target=target,
        notes=(cost_note(pairs, per_answer), latency_note(pairs), *group_note(pairs)),
    )


def cost_note(pairs: list[Pair], per_answer: int) -> str:
    """Microseconds of processor time an item took, by who spent them."""
    items = sum(pair.taken.answers for pair in pairs) * per_answer

    def micros(spent: Callable[[Pair], float]) -> float:
        return sum(spent(pair) for pair in pairs) / items * 1e6

    return (
        f"CPU each: server {micros(lambda pair: pair.cpu.server):.0f} µs, "
        f"PostgreSQL {micros(lambda pair: pair.cpu.postgres):.0f} µs, "
        f"client {micros(lambda pair: pair.taken.client_cpu_seconds):.0f} µs"
    )


def latency_note(pairs: list[Pair]) -> str:
    median = statistics.median(pair.taken.median_ms for pair in pairs)
    p99 = statistics.median(pair.taken.p99_ms for pair in pairs)
    return f"latency {median:.1f} ms, p99 {p99:.1f} ms"


def group_note(pairs: list[Pair]) -> tuple[str, ...]:
    """How many events shared a commit."""
    commits = sum(pair.commits for pair in pairs)
    if not commits:
        return ()
    events = sum(pair.taken.events for pair in pairs)
    seconds = sum(pair.taken.seconds for pair in pairs)
    return (
        f"{events / commits:,.0f} events a commit, {commits / seconds:,.0f} a second",
    )
