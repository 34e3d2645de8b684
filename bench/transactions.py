"""The yardstick of what waits for a commit: one transaction that is synced to disk."""

import statistics
import time

from bench import traffic
from bench.servers import Flux
from bench.traffic import Order


def median_ms(flux: Flux, seconds: float) -> float:
    """The median of one-row INSERTs, each committed and synced, one after another."""
    taken = []
    with flux.connect() as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS flux_bench_commit"
            " (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload text)"
        )
        text = traffic.payload(Order(kind="bare", port=0, connections=0, seconds=0), 0)
        until = time.perf_counter() + seconds
        while (begun := time.perf_counter()) < until:
            connection.execute(
                "INSERT INTO flux_bench_commit (payload) VALUES (%s)", (text.decode(),)
            )
            taken.append(time.perf_counter() - begun)
        connection.execute("DROP TABLE flux_bench_commit")
    return statistics.median(taken) * 1_000
