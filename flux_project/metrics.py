"""Everything that Flux counts and measures, by name; `GET /metrics` shows it.

A counter costs about a microsecond: what happens for every request or every frame is
counted in plain numbers (`Tally`, `Answers`) and brought into its counter once a
second. Invariant: every label has a small, fixed set of values, never an entity, a
namespace or a source.

Several processes share one socket, so a scrape reaches any of them:
flux_project.shared_metrics, if it comes first, has them count together.
"""

import re
import threading
from collections import defaultdict
from functools import cache
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from flux_project import shared_metrics

FLUSH_SECONDS = 1.0

_FAST_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)
_SLOW_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)

# When each counter was made says nothing: some go on where another process ended.
disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types
REGISTRY = CollectorRegistry()


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(f"flux_{name}", text, labels, registry=REGISTRY)


def _histogram(
    name: str, text: str, buckets: tuple[float, ...], *labels: str
) -> Histogram:
    return Histogram(f"flux_{name}", text, labels, buckets=buckets, registry=REGISTRY)


# The log.
EVENTS_COMMITTED = _counter("events_committed", "Events stored in the log.")
COMMITS = _counter("commits", "Groups committed, by who decided them.", "path")
COMMITS_LOOP = COMMITS.labels("loop")
COMMITS_CAREFUL = COMMITS.labels("careful")
GROUP_EVENTS = _histogram("commit_events", "Events in one commit.", _SIZES)
COMMIT_SECONDS = _histogram(
    "commit_seconds",
    "From sending a group to its answer; a careful one is read before it is written.",
    _FAST_SECONDS,
    "path",
)
COMMIT_SECONDS_LOOP = COMMIT_SECONDS.labels("loop")
COMMIT_SECONDS_CAREFUL = COMMIT_SECONDS.labels("careful")
COMMIT_FAILURES = _counter(
    "commit_failures", "Groups that did not commit as they were sent.", "reason"
)

# HTTP.
HTTP_REQUESTS = _counter(
    "http_requests", "Requests answered.", "route", "method", "status"
)
HTTP_SECONDS = _histogram(
    "http_request_seconds",
    "From a complete request to the beginning of its answer; not those of the lane.",
    _SLOW_SECONDS,
    "route",
    "method",
)
ERRORS = _counter("errors", "Requests refused, by the code of the answer.", "code")

# Tenants.
RATE_LIMITED = _counter(
    "rate_limited", "Writes refused because a namespace had written all it may."
)
FAILED_TOKENS = _counter(
    "failed_tokens", "Tokens that were shown and are no good, the admin's among them."
)

PURCHASES_STUCK = Gauge(
    "flux_purchases_stuck",
    "Purchases paid for a minute without a namespace, and calls not handled in five.",
    registry=REGISTRY,
    multiprocess_mode="livemin",
)

# The feed: what brings committed events to the listeners of a process.
FEED_SEQ = Gauge(
    "flux_feed_seq",
    "Position in the log that the feeds of all processes have reached.",
    registry=REGISTRY,
    multiprocess_mode="livemin",
)
FEED_LAG = _histogram(
    "feed_lag_seconds",
    "From an event's receivedAt to its hand-over to the listeners.",
    _SLOW_SECONDS,
)
FEED_READS = _counter("feed_reads", "Times that the feed read from the log.")
FEED_RECONNECTS = _counter(
    "feed_reconnects", "Times that the feed lost its database and found it again."
)

# The listeners: WebSockets and Server-Sent Events.
LISTENERS = Gauge(
    "flux_listeners",
    "Open connections that listen, by kind.",
    ("kind",),
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
LISTENERS_WS = LISTENERS.labels("ws")
LISTENERS_SSE = LISTENERS.labels("sse")
LISTENER_ENDS = _counter("listener_ends", "Listeners that ended, by why.", "reason")
FRAMES_SENT = _counter("frames_sent", "Frames sent to listeners.")
CONFLATIONS = _counter("conflations", "Frames that say what was left out.")
REPLAYS = _counter("replays", "Subscriptions that caught up from the log.")
SNAPSHOTS = _counter("snapshots", "Subscriptions that began with the state.")


class _Flushed(Protocol):
    def flush(self) -> None: ...


_flushed: list[_Flushed] = []
_lock = threading.Lock()


class Tally:
    """A counter for hot paths: `tally.count += n`, by one thread alone."""

    def __init__(self, counter: Counter) -> None:
        self.count = 0
        self._told = 0
        self._counter = counter
        _flushed.append(self)

    def flush(self) -> None:
        count = self.count
        self._counter.inc(count - self._told)
        self._told = count


class Answers:
    """A route's answers: `answers.by_status[200] += 1`, by one thread alone."""

    def __init__(self, route: str, method: str) -> None:
        self.by_status: dict[int, int] = defaultdict(int)
        self._told: dict[int, int] = defaultdict(int)
        self._of = (route, method)
        _flushed.append(self)

    def flush(self) -> None:
        for status, count in list(self.by_status.items()):
            told, self._told[status] = self._told[status], count
            HTTP_REQUESTS.labels(*self._of, status_class(status)).inc(count - told)


@cache
def route(pattern: str) -> str:
    """A route of Django's as the documents write it, beginning with a slash.

    The admin's pages are one: people's pages need no time series each.
    """
    if pattern.startswith("admin"):
        return "/admin"
    return "/" + re.sub(r"\(\?P<(\w+)>.*", r"{\1}", pattern.lstrip("^"))


def status_class(status: int) -> str:
    """`2xx` and so on: one of five."""
    return f"{status // 100}xx"


def flush() -> None:
    """Brings what was counted in plain numbers into its counters. Any thread."""
    with _lock:
        for one in _flushed:
            one.flush()


def committed(*, events: int, seconds: float, is_careful: bool = False) -> None:
    """A group was committed, by the committer's thread or on the loop."""
    (COMMITS_CAREFUL if is_careful else COMMITS_LOOP).inc()
    (COMMIT_SECONDS_CAREFUL if is_careful else COMMIT_SECONDS_LOOP).observe(seconds)
    if events:
        EVENTS_COMMITTED.inc(events)
        GROUP_EVENTS.observe(events)


def listener_ended(reason: str | None) -> None:
    """A listener is gone; reason: the server's for ending it, None if the peer left."""
    LISTENER_ENDS.labels(reason or "client").inc()


def exposition(accept: str) -> tuple[bytes, str]:
    """All metrics as text, and its content type: OpenMetrics where a header Accept
    names that. What other processes counted in plain numbers is a second old.

    The library's own choice goes by versions, and fails on one that is no number.
    """
    flush()
    registry = shared_metrics.registry() or REGISTRY
    if "application/openmetrics-text" in accept:
        text = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]  # it has no types
        return text, openmetrics.CONTENT_TYPE_LATEST
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4
