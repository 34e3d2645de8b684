"""Every series that a worker can have, made in a process that counts with others.

`made` runs it, because what counts in shared files does so from its import on.
Invariant: what no worker can have is not among them.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, cast

from django.urls import URLPattern, URLResolver

from flux_project import lane, metrics  # noqa: F401  the lane knows all errors
from flux_project.errors import FluxError
from flux_project.observed import _METHODS
from flux_project.urls import live_routes, urlpatterns

PROJECT = Path(__file__).resolve().parents[2]
STATUSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
SCRAPES = 10
OTHER = "other"
# What uvicorn's worker does at its start, and then `main`.
_BEGIN = """
import os, sys
from pathlib import Path
from flux_project import shared_metrics
shared_metrics.join(Path(sys.argv[1]), int(sys.argv[2]))
import django
django.setup()
from tests.support import all_series
all_series.main()
"""


def made(data_dir: Path, number: int) -> dict[str, Any]:
    """Makes them all as the worker of this number: how many `series` there are then,
    and how long a scrape took, `seconds`."""
    done = subprocess.run(
        [sys.executable, "-c", _BEGIN, str(data_dir), str(number)],
        cwd=PROJECT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "flux_project.settings"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    make()
    begun = time.perf_counter()
    for _ in range(SCRAPES):
        text, _ = metrics.exposition("")
    seconds = (time.perf_counter() - begun) / SCRAPES
    lines = [one for one in text.splitlines() if not one.startswith(b"#")]
    sys.stdout.write(json.dumps({"series": len(lines), "seconds": seconds}))


def make() -> None:
    for pair in pairs():
        metrics.HTTP_SECONDS.labels(*pair).observe(0)
        for status in STATUSES:
            metrics.HTTP_REQUESTS.labels(*pair, status).inc()
    for code in codes():
        metrics.ERRORS.labels(code).inc()
        metrics.COMMIT_FAILURES.labels(code).inc()
        metrics.LISTENER_ENDS.labels(code).inc()


def pairs() -> set[tuple[str, str]]:
    """Each route with each method that it takes, and what it does not take as one."""
    found: set[tuple[str, str]] = set()
    for route in cast(list[URLPattern | URLResolver], urlpatterns):
        callback = route.callback if isinstance(route, URLPattern) else None
        actions = getattr(callback, "actions", None)
        taken = {name.upper() for name in actions} if actions else _METHODS
        name = metrics.route(str(route.pattern))
        found |= set(product([name], {*taken, "HEAD", "OPTIONS", OTHER}))
    live = {path for _, path in live_routes}
    unknown = product([OTHER], {*_METHODS, OTHER})
    return {*found, *product(live, ["GET", OTHER]), *unknown}


def codes(family: type[FluxError] = FluxError) -> Iterator[str]:
    """Of all errors that there are."""
    yield family.code
    for one in family.__subclasses__():
        yield from codes(one)
