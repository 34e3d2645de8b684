"""Many work on one loop, and nobody else there waits for more than one piece of it."""

import asyncio
from itertools import pairwise

import pytest

from state import turns
from state.turns import Turns

WORKERS, PIECES = 20, 5


async def test_between_two_pieces_of_work_the_loop_does_what_else_waits() -> None:
    shared = Turns()
    happened: list[str] = []
    loop = asyncio.get_running_loop()

    def look() -> None:
        happened.append("something else")
        if happened.count("work") < WORKERS * PIECES:
            loop.call_soon(look)

    async def work() -> None:
        for _ in range(PIECES):
            async with shared.turn():
                happened.append("work")

    loop.call_soon(look)
    await asyncio.gather(*(work() for _ in range(WORKERS)))
    assert happened.count("work") == WORKERS * PIECES
    assert ("work", "work") not in set(pairwise(happened))


async def test_a_turn_that_fails_or_is_given_up_is_the_next_ones() -> None:
    shared = Turns()

    async def fail() -> None:
        async with shared.turn():
            raise LookupError

    async def wait() -> None:
        async with shared.turn():
            await asyncio.sleep(3_600)

    with pytest.raises(LookupError):
        await fail()
    waiting = asyncio.create_task(wait())
    behind = asyncio.create_task(wait())
    await asyncio.sleep(0)
    behind.cancel()
    waiting.cancel()
    await asyncio.gather(waiting, behind, return_exceptions=True)
    async with asyncio.timeout(10), shared.turn():
        pass


def test_folds_grow_until_all_of_them_are_too_large_together() -> None:
    shared = Turns()
    with shared.share() as first, shared.share() as second:
        first.note(turns.MOST_FOLD_BYTES - 1)
        assert first.may_grow
        first.note(turns.MOST_FOLD_BYTES)
        assert not first.may_grow
        assert second.may_grow
        shared.held_bytes += turns.ALL_FOLDS_BYTES
        second.note(turns.LEAST_FOLD_BYTES - 1)
        assert second.may_grow
        second.note(turns.LEAST_FOLD_BYTES)
        assert not second.may_grow
    assert shared.held_bytes == turns.ALL_FOLDS_BYTES
