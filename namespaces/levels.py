"""How much namespaces have spent of their rate limit, as this process knows it.

Invariant: what is known is what the database said last, with a time that makes it the
most that can be spent now, unless another process has written since.
"""

import time
from collections.abc import Mapping

from namespaces import bucket, config
from namespaces.bucket import Level, NamespaceRateLimited

# Beyond, what is known is forgotten; it is asked for again.
MOST_KNOWN = 20_000

known: dict[str, Level] = {}
# Namespaces that were refused something and may have nothing left; all are known.
overdrawn: set[str] = set()
# How many events of each namespace were refused since somebody took this over.
refusals: dict[str, int] = {}


def limit() -> int | None:
    """How many events a namespace may write a minute; None: as many as it likes."""
    current = config.current()
    if not current.rate_limit_enabled:
        return None
    return current.rate_limit_per_namespace_per_minute


def learn(found: Mapping[str, Level]) -> None:
    """Takes what the database said just now."""
    if len(known) > MOST_KNOWN:
        known.clear()
        overdrawn.clear()
    known.update(found)


def headers(namespace: str) -> tuple[tuple[str, str], ...]:
    """What the answer to a write says of its namespace's limit."""
    most = limit()
    if most is None:
        return ()
    level = known.get(namespace)
    now = 0 if level is None else level.spent_by(time.monotonic(), limit=most)
    return bucket.headers(now, limit=most)


def refuse(
    namespace: str, events: int, spent: int, *, limit: int
) -> NamespaceRateLimited:
    """The error of who asks for more than is left; it is counted."""
    if namespace in known:
        overdrawn.add(namespace)
    refusals[namespace] = refusals.get(namespace, 0) + events
    return bucket.refusal(namespace, events, spent, limit=limit)
