"""The rows of silent listeners: their memory, and the time that they take.

Each is measured at a server of its own that did nothing before: after other loads, new
connections would find memory that those have left.
"""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from bench import servers
from bench.listeners import Held
from bench.measure import Figure, Lab, Spread
from bench.servers import Flux

SOCKETS = "/api/ws?entity_id=live/own-%d"
STREAMS = "/api/stream?entity_id=live/own-%d"
STEP = 400
LISTENERS = 1_000
SECONDS = 20.0
ROUNDS = 2
SETTLE_SECONDS = 1.0


@contextmanager
def _untouched(lab: Lab) -> Iterator[tuple[Flux, Held]]:
    """A new server, and nobody listening yet."""
    with (
        servers.directory(lab.flux.data_dir.parent) as base,
        servers.flux(base) as flux,
        closing(Held(flux.port)) as held,
    ):
        time.sleep(SETTLE_SECONDS)
        yield flux, held


def silent(lab: Lab) -> list[Figure]:
    """Connections on which nothing is said but what all are told now and then."""
    with _untouched(lab) as (flux, held):
        alone = _share(flux, held)
        sockets = _memory(lab, flux, held, SOCKETS)
        held.keep_only(LISTENERS)
        shares = [_share(flux, held) for _ in range(ROUNDS)]
    with _untouched(lab) as (flux, held):
        streams = _memory(lab, flux, held, STREAMS)
    return [
        _memory_figure("socket memory", "WebSocket", sockets),
        _memory_figure("stream memory", "stream of Server-Sent Events", streams),
        Figure(
            name="silence",
            what=f"processor time for {LISTENERS:,} silent WebSockets, no events",
            value=Spread.of(shares),
            unit="% of a core",
            target=3,
            is_upper_bound=True,
            notes=(f"{alone:.2f} % without them",),
        ),
    ]


def _memory(lab: Lab, flux: Flux, held: Held, address: str) -> list[float]:
    """KiB a connection, of several times so many."""
    found = []
    for _ in range(lab.pairs):
        before = flux.memory_mib()
        held.add(STEP, address)
        held.listen(SETTLE_SECONDS)
        found.append((flux.memory_mib() - before) * 1_024 / STEP)
    return found


def _memory_figure(name: str, kind: str, found: list[float]) -> Figure:
    return Figure(
        name=name,
        what=f"memory of the server for a silent {kind}",
        value=Spread.of(found),
        unit="KiB",
        target=60,
        is_upper_bound=True,
        notes=(f"{len(found)} times {STEP} more",),
    )


def _share(flux: Flux, held: Held) -> float:
    """Percent of a core that the web worker used, over some time."""
    before, begun = flux.clock(), time.monotonic()
    held.listen(SECONDS)
    seconds = time.monotonic() - begun
    return 100 * flux.clock().since(before).server / seconds
