"""A listener that has left is freed at once: nothing of it waits for the collector.

The garbage collector comes to what has lived for a while only when millions of objects
were made since, so what is left to it stays for hours.
"""

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from state.batch import Batch
from state.feed import Feed
from state.frames import Standing, Told
from state.interest import Interest, Kind
from state.listener import Listener
from state.recent import Recent
from state.stream import StreamWire
from state.topics import Topics
from state.turns import Turns
from state.wires import BOUND_BYTES

ONE = Interest(Kind.ENTITY, "a/1")
LARGE = Standing("a/1", b'{"text":"%b"}' % (b"x" * BOUND_BYTES))


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def feed() -> Feed:
    """As much of one as a listener that stays behind sees of it."""
    loop = asyncio.get_running_loop()
    parts = {"topics": Topics(), "recent": Recent(), "turns": Turns()}
    return cast(Feed, SimpleNamespace(**parts, position=1, loop=loop, past=None))


def live(_: Listener) -> None:
    """It has kept up."""


def behind(listener: Listener) -> None:
    """What it was told is more than its peer takes."""
    listener.take(Batch([Told(LARGE, seq=1, recorded_at=0)]), upto=1)


def with_jobs(listener: Listener) -> None:
    """It has asked for what it will not be told any more."""
    behind(listener)
    listener.subscribe(ONE, snapshot=True)


@pytest.mark.parametrize("lives", [live, behind, with_jobs])
async def test_who_has_left_is_freed_at_once(
    lives: Callable[[Listener], None],
) -> None:
    wire = StreamWire(None)
    listener = Listener(feed(), wire)
    listener.join(is_implicit=True)
    lives(listener)
    await asyncio.sleep(0)
    listener.leave()
    left = weakref.ref(wire)
    del wire, listener
    for _ in range(3):
        await asyncio.sleep(
            0
        )  # so that its task ends, which then is the last to hold it
    assert left() is None
