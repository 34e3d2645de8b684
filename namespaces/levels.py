"""How much namespaces have spent of their rate limit, as this process knows it.

Invariant: what is known is what the database said last, with a time that makes it the
most that can be spent now, unless another process has written since.
"""

import threading
import time
from collections.abc import Mapping

from flux_project import metrics
from namespaces import bucket, config
from namespaces.bucket import Level, NamespaceRateLimited

# So long a limit's headers are the same.
SAME_SECONDS = 0.01
# Beyond, what is known is forgotten; it is asked for again.
MOST_KNOWN = 20_000

Headers = tuple[tuple[str, str], ...]

known: dict[str, Level] = {}
# Namespaces that were refused something and may have nothing left; all are known.
overdrawn: set[str] = set()
_NOTHING = Level(0, 0.0)
_said: dict[str, tuple[Level, int, float, Headers]] = {}
# How many events of each namespace were refused since somebody took this over. Loops
# and threads count, so under a lock.
_refusals: dict[str, int] = {}
_refusals_lock = threading.Lock()


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


def headers(namespace: str) -> Headers:
    """What the answer to a write says of its namespace's limit.

    Those of one group say the same, which is made once.
    """
    most = limit()
    if most is None:
        return ()
    level, now = known.get(namespace, _NOTHING), time.monotonic()
    said = _said.get(namespace)
    if said is not None and said[0] is level and said[1] == most and now < said[2]:
        return said[3]
    made = bucket.headers(level.spent_by(now, limit=most), limit=most)
    if len(_said) > MOST_KNOWN:
        _said.clear()
    _said[namespace] = level, most, now + SAME_SECONDS, made
    return made


def refusal(
    namespace: str, events: int, spent: int, *, limit: int
) -> NamespaceRateLimited:
    """The error of who asks for more than is left."""
    if namespace in known:
        overdrawn.add(namespace)
    return bucket.refusal(namespace, events, spent, limit=limit)


def count_refusals(refused: Mapping[str, int]) -> None:
    """So many events of each namespace were refused, and are not decided again."""
    if refused:
        metrics.RATE_LIMITED.inc(sum(refused.values()))
        _count_refusals(refused)


def take_refusals(most: int) -> dict[str, int]:
    """How many events were refused, of so many namespaces; they count no more here."""
    with _refusals_lock:
        taken = list(_refusals)[:most]
        return {namespace: _refusals.pop(namespace) for namespace in taken}


def give_back(refused: Mapping[str, int]) -> None:
    """They count here again: who took them could not add them."""
    _count_refusals(refused)


def _count_refusals(refused: Mapping[str, int]) -> None:
    with _refusals_lock:
        for namespace, events in refused.items():
            _refusals[namespace] = _refusals.get(namespace, 0) + events
