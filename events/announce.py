"""Telling this process's feed at once what this process has committed.

A shortcut, nothing more: the feed finds every commit in the log by itself, a little
later. Invariant: what is announced was committed before.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from msgspec import Struct

from events.envelope import Event


class Committed(Struct, frozen=True):
    """Events that stand in the log from first_seq on; recorded_at: us since 1970."""

    first_seq: int
    recorded_at: int
    events: Sequence[Event]


class Follower(Protocol):
    """Who wants to know, on one event loop."""

    def offer(self, committed: Committed) -> None: ...


_followers: dict[asyncio.AbstractEventLoop, Follower] = {}


def follow(loop: asyncio.AbstractEventLoop, follower: Follower) -> None:
    """From now on the follower is offered what is committed on its loop."""
    _followers[loop] = follower


def unfollow(loop: asyncio.AbstractEventLoop) -> None:
    _followers.pop(loop, None)


def tell_all(committed: Committed) -> None:
    """Offers a commit of any thread to all followers, each on its loop; later, but
    before whatever else that thread has its loop do from now on."""
    for loop, follower in list(_followers.items()):
        # A loop that was closed follows no more; the commit stands all the same.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(follower.offer, committed)


def tell(loop: asyncio.AbstractEventLoop, committed: Committed) -> None:
    """Offers a commit of this loop to its follower, if it has one."""
    follower = _followers.get(loop)
    if follower is not None:
        follower.offer(committed)
