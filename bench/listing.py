"""One large download, and the server's memory while it goes on.

Read by a plain socket into memory set aside before, so that the client costs next to
nothing; what came is unpacked and checked when the clock has stopped.
"""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench import traffic
from bench.servers import CannotMeasure, Flux

READ_BYTES = 1 << 20
MAX_ENTITY_BYTES = 1_000
SAMPLE_SECONDS = 0.01
TIMEOUT_SECONDS = 60.0
_LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Download:
    """body_bytes: of the JSON text; growth_mib: the most above the level before."""

    body_bytes: int
    seconds: float
    growth_mib: float

    @property
    def megabytes_per_second(self) -> float:
        return self.body_bytes / self.seconds / 1e6


def download(flux: Flux, fleet: str, *, expected: int) -> Download:
    """Every entity of a namespace. Raises CannotMeasure unless `expected` came."""
    buffer = bytearray(expected * MAX_ENTITY_BYTES)
    request = (
        f"GET /api/state/entities?namespace={fleet} HTTP/1.1\r\n"
        f"host: 127.0.0.1:{flux.port}\r\naccept: */*\r\n\r\n"
    ).encode()
    with _growth(flux) as growth:
        begun = time.perf_counter()
        size = _receive(flux.port, request, memoryview(buffer))
        seconds = time.perf_counter() - begun
    body = _body(bytes(buffer[:size]))
    _check(json.loads(body), fleet, expected=expected)
    return Download(len(body), seconds, max(growth))


def _receive(port: int, request: bytes, buffer: memoryview) -> int:
    with socket.create_connection(
        ("127.0.0.1", port), timeout=TIMEOUT_SECONDS
    ) as connection:
        connection.sendall(request)
        size = 0
        while buffer[max(0, size - len(_LAST_CHUNK)) : size] != _LAST_CHUNK:
            received = connection.recv_into(buffer[size:], READ_BYTES)
            if not received:
                message = f"the list broke off after {size} bytes"
                raise CannotMeasure(message)
            size += received
    return size


def _body(answer: bytes) -> bytes:
    """The body of a chunked answer."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 ") or b"chunked" not in head.lower():
        message = f"not a streamed list: {answer[:300]!r}"
        raise CannotMeasure(message)
    parts: list[bytes] = []
    at = 0
    while True:
        end = rest.index(b"\r\n", at)
        length = int(rest[at:end], 16)
        if not length:
            return b"".join(parts)
        parts.append(rest[end + 2 : end + 2 + length])
        at = end + 2 + length + 2


def _check(entities: list[dict[str, object]], fleet: str, *, expected: int) -> None:
    ids = [entity["id"] for entity in entities]
    if ids != [traffic.entity_id(fleet, number) for number in range(expected)]:
        message = f"{len(ids)} entities came, not the {expected} in order"
        raise CannotMeasure(message)
    if any(entity["version"] != 1 for entity in entities):
        message = "an entity has more than the one event it was given"
        raise CannotMeasure(message)


@contextmanager
def _growth(flux: Flux) -> Iterator[list[float]]:
    """MiB above the level at the start, sampled while the block runs."""
    level = flux.memory_mib()
    found = [0.0]
    over = threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_SECONDS):
            found.append(flux.memory_mib() - level)

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield found
    finally:
        over.set()
        sampler.join()
