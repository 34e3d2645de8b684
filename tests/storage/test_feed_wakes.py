"""What a process commits wakes the feeds of others, whatever its own knows of it."""

import asyncio
from collections.abc import Sequence

import pytest
import uvloop

from events import ingest, log
from events.announce import Committed
from events.commands import Append
from state import feed as feeds
from state.feed import Feed
from tests.support import ledger, session
from tests.support.said import World, append

SECONDS = 20.0
COMMANDS = [append(f"a/{number}") for number in range(4)]


def offered(commands: Sequence[Append], first_seq: int) -> Committed:
    return Committed(first_seq, 1_000_000, [one.event for one in commands])


def wakes_others(committed: Committed) -> bool:
    """Whether what is offered to a feed makes it notify the process it knows of."""

    async def main() -> str:
        feed = Feed(asyncio.get_running_loop())
        feed.start()
        async with asyncio.timeout(SECONDS):
            while not feed.has_begun:
                await feed.moved()
        await asyncio.to_thread(ingest.commit, COMMANDS)
        await feed.reach(len(COMMANDS))
        feed.neighbours.hear("another 0")
        with ledger.at(session.DATABASE) as connection:
            connection.execute(f"LISTEN {log.CHANNEL}")
            feed.offer(committed)
            notices = connection.notifies(timeout=SECONDS, stop_after=1)
            heard = await asyncio.to_thread(list, notices)
        feed.stop()
        return heard[0].payload if heard else ""

    return bool(uvloop.run(main()))


@pytest.fixture(autouse=True)
def quiet(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "POLL_SECONDS", 3_600)


def test_what_continues_the_log_does() -> None:
    assert wakes_others(offered(COMMANDS, 5))


def test_what_was_read_before_it_was_offered_does() -> None:
    assert wakes_others(offered(COMMANDS, 1))


def test_what_comes_behind_something_unknown_does() -> None:
    """Another process committed in between: nobody else tells the others of this."""
    assert wakes_others(offered(COMMANDS[3:], 9))
