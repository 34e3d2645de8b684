"""The load generator: a process of its own, as light as Python can be.

It shares the machine with what it measures, so a request costs it about 10 µs: finished
bytes out, and of an answer only the status and the length are parsed. Every answer is
kept and checked, after the clock has stopped.

    python -m bench.load '{"kind": "bare", "port": 3000, …}'
"""

import asyncio
import gc
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import uvloop

from bench import traffic
from bench.traffic import Order
from flux_project import processes

DRAIN_SECONDS = 30.0
PREBUILT_BYTES = 48 << 20
PREBUILT_REQUESTS = 100_000
SAMPLES = 50


@dataclass
class Taken:
    """What a run brought.

    counted: answers within `seconds`; answers: with those that were under way then.
    last_seq - first_seq + 1 == events: every place of the log was given once.
    """

    seconds: float = 0.0
    counted: int = 0
    answers: int = 0
    client_cpu_seconds: float = 0.0
    median_ms: float = 0.0
    p99_ms: float = 0.0
    events: int = 0
    first_seq: int = 0
    last_seq: int = 0
    samples: list[tuple[int, int]] = field(default_factory=list)
    bodies: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class Generator:
    """All connections of a run, and the answers they got."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.requests = _prepared(order)
        self.left = order.most if order.most is not None else sys.maxsize
        self.sent = 0
        self.under_way = 0
        self.is_over = False
        self.over = asyncio.Event()
        self.drained = asyncio.Event()
        self.latencies: list[float] = []
        self.bodies: list[tuple[int, bytes]] = []
        self.first_bodies: dict[int, bytes] = {}
        self.faults: list[str] = []
        keeps = order.kind in {"publish", "batch"}
        self.keep = self.keep_body if keeps else self.compare_body

    def next_request(self) -> bytes | None:
        if self.is_over or self.left <= 0:
            self.end()
            return None
        self.left -= 1
        self.sent += 1
        self.under_way += 1
        return next(self.requests)

    def end(self) -> None:
        self.is_over = True
        self.over.set()
        if not self.under_way:
            self.drained.set()

    def fail(self, what: str) -> None:
        self.faults.append(what)
        self.end()

    def keep_body(self, index: int, body: bytes) -> None:
        self.bodies.append((index, body))

    def compare_body(self, index: int, body: bytes) -> None:
        """Every answer for one entity must be the same, byte for byte."""
        number = self.order.first + index
        entity = traffic.entity_of(number, self.order.entities)
        if self.first_bodies.setdefault(entity, body) != body:
            self.fail(f"answers differ: {body[:200]!r}")


def _prepared(order: Order) -> Iterator[bytes]:
    """The requests of an order, as many as memory allows made beforehand."""
    size = len(next(traffic.requests(order)))
    wanted = min(order.most or PREBUILT_REQUESTS, PREBUILT_BYTES // size)
    requests = traffic.requests(order)
    return itertools.chain(list(itertools.islice(requests, wanted)), requests)


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request under way at a time."""

    transport: asyncio.Transport

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.chunks: list[bytes] = []
        self.missing = 0
        self.sent_at = 0.0
        self.index = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a stream's

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.generator.drained.is_set():
            self.generator.fail(f"a connection was lost: {exc}")
            self.generator.drained.set()

    def send(self) -> None:
        self.index = self.generator.sent
        request = self.generator.next_request()
        if request is not None:
            self.sent_at = time.perf_counter()
            self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self.chunks:
            self.chunks.append(data)
            self.missing -= len(data)
            if self.missing > 0:
                return
            data = b"".join(self.chunks)
            self.chunks = []
        head = data.find(b"\r\n\r\n") + 4
        at = data.find(b"content-length: ") + 16
        if data[:13] != b"HTTP/1.1 200 " or head < 4 or not 16 <= at < head:
            self.generator.fail(f"not a success: {data[:300]!r}")
            self.generator.drained.set()
            return
        length = int(data[at : data.find(b"\r", at)])
        missing = head + length - len(data)
        if missing > 0:
            self.chunks, self.missing = [data], missing
            return
        self.answered(data[head:])

    def answered(self, body: bytes) -> None:
        generator = self.generator
        generator.latencies.append(time.perf_counter() - self.sent_at)
        generator.keep(self.index, body)
        generator.under_way -= 1
        self.send()


async def run(order: Order) -> Taken:
    """Opens the connections, sends until the order's end, waits for the answers."""
    loop = asyncio.get_running_loop()
    generator = Generator(order)
    connections = [
        (
            await loop.create_connection(
                lambda: Connection(generator), "127.0.0.1", order.port
            )
        )[1]
        for _ in range(order.connections)
    ]
    gc.freeze()
    gc.disable()
    cpu = time.process_time()
    begun = time.perf_counter()
    loop.call_later(order.seconds, generator.end)
    for connection in connections:
        connection.send()
    await generator.over.wait()
    taken = Taken(seconds=time.perf_counter() - begun)
    taken.counted = len(generator.latencies)
    taken.client_cpu_seconds = time.process_time() - cpu
    try:
        await asyncio.wait_for(generator.drained.wait(), DRAIN_SECONDS)
    except TimeoutError:
        generator.faults.append(f"{generator.under_way} requests got no answer")
    generator.drained.set()
    for connection in connections:
        connection.transport.close()
    _check(generator, taken)
    return taken


def _check(generator: Generator, taken: Taken) -> None:
    order = generator.order
    taken.answers = len(generator.latencies)
    taken.faults = generator.faults[:5]
    latencies = sorted(generator.latencies)
    if latencies:
        taken.median_ms = latencies[len(latencies) // 2] * 1_000
        taken.p99_ms = latencies[int(len(latencies) * 0.99)] * 1_000
    if order.kind == "bare":
        if set(generator.first_bodies.values()) - {b"{}"}:
            taken.faults.append("the bare server answered something else")
    elif order.kind in {"publish", "batch"}:
        _check_places(generator, taken)
    else:
        step = max(1, len(generator.first_bodies) // SAMPLES)
        for entity in list(generator.first_bodies)[::step]:
            name = traffic.entity_id(order.fleet, entity)
            taken.bodies[name] = generator.first_bodies[entity].decode()


def _check_places(generator: Generator, taken: Taken) -> None:
    """Each acknowledged event has a place in the log that no other one has."""
    placed: list[tuple[int, int]] = []
    try:
        for index, body in generator.bodies:
            placed += traffic.places(generator.order, index, body)
    except (ValueError, KeyError) as error:
        taken.faults.append(str(error))
    if not placed:
        return
    seqs = {seq for _, seq in placed}
    taken.events = len(placed)
    taken.first_seq, taken.last_seq = min(seqs), max(seqs)
    if len(seqs) != len(placed):
        taken.faults.append("a seq was given twice")
    taken.samples = placed[:: max(1, len(placed) // SAMPLES)]


def main() -> None:
    given: dict[str, Any] = json.loads(sys.argv[1])
    processes.die_with_parent(int(given.pop("parent")))
    taken = uvloop.run(run(Order(**given)))
    sys.stdout.write(json.dumps(asdict(taken)))
    sys.stdout.flush()
    os._exit(0)  # no need to free a hundred thousand bodies one by one


if __name__ == "__main__":
    main()
