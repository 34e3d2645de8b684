"""What this process's feed knows, for a thread that shows it to people.

A feed belongs to its loop, so the loop is asked. Invariant: the answer comes within
PATIENCE_SECONDS, or it is None.
"""

from concurrent.futures import Future

from msgspec import Struct

from state import feed as feeds
from state.feed import Feed

PATIENCE_SECONDS = 1.0


class Glance(Struct, frozen=True):
    """position: the seq up to which the listeners were told; -1: it begins just now.
    sockets: WebSockets of all processes; publishers: sources of the last seconds."""

    position: int
    sockets: int
    publishers: int
    is_late: bool


def take() -> Glance | None:
    """None: nobody listened yet to this process, or its loop is too busy to answer."""
    feed = feeds.running()
    if feed is None:
        return None
    asked: Future[Glance] = Future()
    try:
        feed.loop.call_soon_threadsafe(_answer, feed, asked)
        return asked.result(PATIENCE_SECONDS)
    except (TimeoutError, RuntimeError):  # it is busy, or at its end
        return None


def _answer(feed: Feed, asked: "Future[Glance]") -> None:
    asked.set_result(
        Glance(
            position=feed.position,
            sockets=feed.topics.sockets + feed.neighbours.connections,
            publishers=feed.rates.publishers,
            is_late=feed.pace.is_late,
        )
    )
