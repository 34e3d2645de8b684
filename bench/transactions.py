"""The yardstick of what waits for a commit: one transaction that is synced to disk."""

import statistics
import time

from bench import traffic
from bench.servers import Flux
from bench.traffic import Order


def median_ms(flux: Flux, seconds: float) -> float:
    """The median of one-row INSERTs, each committed and synced, one after another."""
    return statistics.median(_taken(flux, seconds, rate=None))


def p99_ms(flux: Flux, seconds: float, *, rate: float) -> float:
    """The 99th percentile of the same, so many a second: machines wake up slowly."""
    found = sorted(_taken(flux, seconds, rate=rate))
    return found[int(len(found) * 0.99)]


def _taken(flux: Flux, seconds: float, *, rate: float | None) -> list[float]:
    taken = []
    with flux.connect() as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS flux_bench_commit"
            " (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload text)"
        )
        text = traffic.payload(Order(kind="bare", port=0, connections=0, seconds=0), 0)
        due = time.perf_counter()
        until = due + seconds
        while (begun := time.perf_counter()) < until:
            connection.execute(
                "INSERT INTO flux_bench_commit (payload) VALUES (%s)", (text.decode(),)
            )
            taken.append(1_000 * (time.perf_counter() - begun))
            if rate is not None:
                due += 1 / rate
                time.sleep(max(0.0, due - time.perf_counter()))
        connection.execute("DROP TABLE flux_bench_commit")
    return taken
