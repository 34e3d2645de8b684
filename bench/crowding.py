"""Quiet producers beside many that are over their namespace's limit: one process.

The many obey `Retry-After`; the quiet ones send at a steady rate, whatever the answers,
each in a namespace of its own, and each of their latencies is kept.

    python -m bench.crowding '{"port": 3000, "seconds": 3, …}'
"""

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import uvloop

from flux_project import processes

# Until those who are many have written what the limit allows at once.
PATIENCE_SECONDS = 60.0

_EVENT = (
    b'{"stream":"bench.crowd","source":"flux-bench","payload":{"entity_id":"%b/one",'
    b'"properties":{"reading":%d}}}'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowding:
    """quiet, crowded: (namespace, token) of those that write a little and of the one
    that is over its limit; rate: of all the quiet ones, events a second; writers: how
    many the others are."""

    port: int
    seconds: float
    rate: float
    quiet: list[tuple[str, str]]
    crowded: tuple[str, str]
    writers: int


@dataclass
class Quiet:
    """What became of the quiet one's events; refused: of the others' that many."""

    p99_ms: float = 0.0
    median_ms: float = 0.0
    sent: int = 0
    refused: int = 0
    faults: list[str] = field(default_factory=list)


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int, who: tuple[str, str]) -> None:
        namespace, token = who
        self._port = port
        self._namespace = namespace.encode()
        self._head = (
            f"POST /api/events HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
            f"authorization: Bearer {token}\r\ncontent-length: "
        ).encode()

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(
            "127.0.0.1", self._port
        )

    async def publish(self, reading: int) -> tuple[int, Mapping[str, str]]:
        """The answer's status and headers."""
        body = _EVENT % (self._namespace, reading)
        self._writer.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.split("\r\n")
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        await self._reader.readexactly(int(headers.get("content-length", "0")))
        return int(status.split()[1]), headers

    def close(self) -> None:
        self._writer.close()


class Crowd:
    """Those who write as much as they may, and wait when they are told to."""

    def __init__(self, order: Crowding) -> None:
        self._order = order
        self.refused = 0
        self.is_full = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._write()) for _ in range(self._order.writers)
        ]

    async def _write(self) -> None:
        client = Client(self._order.port, self._order.crowded)
        await client.open()
        reading = 0
        try:
            while True:
                reading += 1
                status, headers = await client.publish(reading)
                if status == 429:
                    self.refused += 1
                    self.is_full.set()
                    await asyncio.sleep(float(headers["retry-after"]))
        finally:
            client.close()

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def run(order: Crowding) -> Quiet:
    """Crowds, then measures the quiet one."""
    found = Quiet()
    crowd = Crowd(order)
    crowd.begin()
    if order.writers:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await crowd.is_full.wait()
        crowd.refused = 0
    latencies = sorted(await _publish_steadily(order, found.faults))
    await crowd.end()
    found.sent, found.refused = len(latencies), crowd.refused
    found.median_ms = latencies[len(latencies) // 2] * 1_000
    found.p99_ms = latencies[int(len(latencies) * 0.99)] * 1_000
    return found


async def _publish_steadily(order: Crowding, faults: list[str]) -> list[float]:
    """How long each of the quiet one's events took, from when it was due (seconds)."""
    latencies: list[float] = []
    clients = [Client(order.port, who) for who in order.quiet]
    idle = asyncio.Queue[Client]()
    for client in clients:
        await client.open()
        idle.put_nowait(client)

    async def one(due: float, reading: int) -> None:
        client = await idle.get()
        status, _ = await client.publish(reading)
        latencies.append(time.perf_counter() - due)
        if status != 200:
            faults.append(f"the quiet one got {status}")
        idle.put_nowait(client)

    begun = time.perf_counter()
    sending: list[asyncio.Task[None]] = []
    for number in range(int(order.seconds * order.rate)):
        due = begun + number / order.rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        sending.append(asyncio.create_task(one(due, number)))
    await asyncio.wait_for(asyncio.gather(*sending), PATIENCE_SECONDS)
    for client in clients:
        client.close()
    return latencies


def main() -> None:
    given: dict[str, Any] = json.loads(sys.argv[1])
    processes.die_with_parent(int(given.pop("parent")))
    given["crowded"] = tuple(given["crowded"])
    found = uvloop.run(run(Crowding(**given)))
    sys.stdout.write(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
