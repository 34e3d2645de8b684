"""A rate limit as a bucket that runs empty: how much is spent, how much is left. Pure.

The token bucket of contract §1, kept from the other side: what is spent counts up with
each event and runs out at the limit's rate, so a namespace that wrote nothing for a
minute needs no row, and a changed limit is in force at once. Integers throughout, in
millionths of an event and microseconds, rounded against the writer: so it is exact, and
never one event too many. `sql/spend.sql` counts the same way.
"""

from msgspec import Struct

from flux_project.errors import RateLimited

WINDOW_SECONDS = 60
EVENT = 1_000_000  # one event, in the units of `spent`
# Beyond, everything has run out; bounds the product below to 63 bits, as SQL needs it.
_MOST_MICROS = 86_400_000_000


class NamespaceRateLimited(RateLimited):
    """This namespace has written as much as it may for now; try again later."""

    code = "rate_limited"


class Level(Struct, frozen=True):
    """So much was spent at a time, by whatever clock (seconds)."""

    spent: int
    at: float

    def spent_by(self, now: float, *, limit: int) -> int:
        """What is still spent later on. limit: events a minute."""
        micros = min(max(int((now - self.at) * 1_000_000), 0), _MOST_MICROS)
        return decayed(self.spent, micros, limit=limit)


def decayed(spent: int, micros: int, *, limit: int) -> int:
    """What is left of `spent` after so many microseconds.

    No more than a bucket holds: a limit that was lowered leaves nobody in debt.
    """
    return max(0, min(spent, limit * EVENT) - limit * micros // WINDOW_SECONDS)


def left(spent: int, *, limit: int) -> int:
    """How many whole events may be written now."""
    return max(0, (limit * EVENT - spent) // EVENT)


def seconds_until(events: int, spent: int, *, limit: int) -> int:
    """When so many more may be written, rounded up; at least 1.

    When all has run out, for more than the bucket ever holds.
    """
    missing = min(spent, limit * EVENT) + min(events, limit) * EVENT - limit * EVENT
    return max(1, -(-missing * WINDOW_SECONDS // (limit * EVENT)))


def headers(spent: int, *, limit: int) -> tuple[tuple[str, str], ...]:
    """What every answer to a write says of it (IETF httpapi's RateLimit draft)."""
    until_full = -(-min(spent, limit * EVENT) * WINDOW_SECONDS // (limit * EVENT))
    return (
        ("RateLimit-Policy", f'"namespace";q={limit};w={WINDOW_SECONDS}'),
        ("RateLimit", f'"namespace";r={left(spent, limit=limit)};t={until_full}'),
    )


def refusal(
    namespace: str, events: int, spent: int, *, limit: int
) -> NamespaceRateLimited:
    """The error of who asks for more than is left."""
    seconds = seconds_until(events, spent, limit=limit)
    if events > limit:
        message = (
            f"This writes {events:,} events at once, and {namespace} may write"
            f" {limit:,} a minute; do it in parts."
        )
    else:
        message = (
            f"{namespace} may write {limit:,} events a minute and has written them;"
            f" try again in {seconds} s."
        )
    return NamespaceRateLimited(message, retry_after=seconds)
