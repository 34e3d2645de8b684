"""Two processes' feeds: each knows of the other as soon as the later one begins."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from state import feed as feeds
from state.feed import Feed
from tests.support.said import World

ROUNDS = 2_000


async def until(is_so: Callable[[], object]) -> None:
    for _ in range(ROUNDS):
        if is_so():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def begun() -> Feed:
    feed = Feed(asyncio.get_running_loop())
    feed.start()
    await until(lambda: feed.has_begun)
    return feed


def test_they_know_of_each_other_without_waiting_for_the_next_word(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing makes them speak here but that another one did."""
    monkeypatch.setattr(feeds, "POLL_SECONDS", 3_600)

    async def main() -> None:
        first = await begun()
        assert not first.neighbours.exist
        later = await begun()
        try:
            await until(lambda: first.neighbours.exist)
            await until(lambda: later.neighbours.exist)
        finally:
            first.stop()
            later.stop()

    uvloop.run(main())
