"""The feed: whatever it hears of commits, it hands out the log, each event once."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import uvloop
from django.db import connections

from events import announce, ingest, log
from events.announce import Committed
from events.commands import Append, Command
from flux_project.database import DatabaseUnavailable
from flux_project.errors import FluxError
from state import feed as feeds
from state.batch import Batch
from state.feed import Feed, SinceAhead
from state.interest import EVERYTHING
from state.wires import LOG_RESET, End
from tests.support import reset
from tests.support.said import World, append

SECONDS = 20.0


class Ear:
    """Listens to everything, as a live listener does."""

    is_live = True
    has_one_subscription = True

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self.seqs: list[int] = []
        self.ids: list[str] = []
        self.ended: End | None = None
        feed.topics.listeners[self] = None  # type: ignore[index]  # as far as it is used
        feed.topics.add(EVERYTHING, self)  # type: ignore[arg-type]  # likewise

    def take(self, batch: Batch, *, upto: int) -> None:
        self.seqs += [told.seq for told in batch.events]
        self.ids += [told.effect.entity_id for told in batch.events]

    def end(self, why: End) -> None:
        self.ended = why

    async def hears(self, upto: int) -> None:
        async with asyncio.timeout(SECONDS):
            while not self.seqs or self.seqs[-1] < upto:
                await self._feed.moved()


def offered(commands: Sequence[Command], first_seq: int) -> Committed:
    events = [one.event for one in commands if isinstance(one, Append)]
    return Committed(first_seq, 1_000_000, events)


Work = Callable[[Feed, Ear], Any]
Run = Callable[..., Any]


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a test with a feed that polls once an hour: by default nothing helps it."""
    monkeypatch.setattr(feeds, "POLL_SECONDS", 3_600)

    def running(work: Work, *, is_deaf: bool = False) -> object:
        if is_deaf:
            monkeypatch.setattr(log, "CHANNEL", "elsewhere")

        async def main() -> object:
            feed = Feed(asyncio.get_running_loop())
            feed.start()
            async with asyncio.timeout(SECONDS):
                while not feed.has_begun:
                    await feed.moved()
            try:
                return await asyncio.wait_for(work(feed, Ear(feed)), 3 * SECONDS)
            finally:
                feed.stop()

        return uvloop.run(main())

    return running


async def commit(*commands: Command) -> None:
    await asyncio.to_thread(ingest.commit, list(commands))


def test_it_hears_of_other_processes_by_notification(run: Run) -> None:
    async def work(feed: Feed, ear: Ear) -> None:
        for _ in range(20):
            await commit(append(), append())
        await ear.hears(40)
        assert ear.seqs == list(range(1, 41))

    run(work)


def test_a_lost_notification_costs_time_alone(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "POLL_SECONDS", 0.1)

    async def work(feed: Feed, ear: Ear) -> None:
        await commit(append(), append())
        await ear.hears(2)
        assert ear.seqs == [1, 2]

    run(work, is_deaf=True)


def test_what_is_offered_comes_without_the_database(run: Run) -> None:
    async def work(feed: Feed, ear: Ear) -> None:
        feed._line.close()
        feed.offer(offered([append("a/1"), append("a/2")], 1))
        feed.offer(offered([append("a/3")], 3))
        await ear.hears(3)
        assert ear.ids == ["a/1", "a/2", "a/3"]

    run(work)


def test_what_was_read_already_is_not_taken_again(run: Run) -> None:
    async def work(feed: Feed, ear: Ear) -> None:
        commands = [append(f"a/{n}") for n in range(6)]
        await commit(*commands[:4])
        await ear.hears(4)
        feed.offer(offered(commands[2:4], 3))
        feed.offer(offered(commands, 1))
        await ear.hears(6)
        assert ear.seqs == [1, 2, 3, 4, 5, 6]
        assert ear.ids == [f"a/{n}" for n in range(6)]

    run(work)


def test_what_lies_before_an_offer_is_read(run: Run) -> None:
    """Another process committed in between, and its notification is late."""

    async def work(feed: Feed, ear: Ear) -> None:
        commands = [append(f"a/{n}") for n in range(5)]
        await commit(*commands)
        feed.offer(offered(commands[3:], 4))
        await ear.hears(5)
        assert ear.ids == [f"a/{n}" for n in range(5)]

    run(work, is_deaf=True)


def test_what_is_offered_while_the_log_is_read_comes_once(run: Run) -> None:
    async def work(feed: Feed, ear: Ear) -> None:
        commands = [append(f"a/{n}") for n in range(3)]
        await commit(*commands)
        feed._read()
        feed.offer(offered(commands, 1))
        await commit(append("a/last"))
        await feed.reach(4)
        assert ear.seqs == [1, 2, 3, 4]

    run(work, is_deaf=True)


def test_a_long_backlog_is_read_to_its_end(run: Run) -> None:
    async def work(feed: Feed, ear: Ear) -> None:
        for _ in range(3):
            await commit(*[append("a/x", {"n": n}) for n in range(1_500)])
        await ear.hears(4_500)
        assert ear.seqs == list(range(1, 4_501))

    run(work)


def test_who_listens_later_hears_from_there_on(run: Run) -> None:
    """What nobody listens to is passed over, and its place is not."""

    async def work(feed: Feed, ear: Ear) -> None:
        feed.topics.remove(EVERYTHING, ear)  # type: ignore[arg-type]  # as above
        feed.topics.listeners.clear()
        commands = [append("a/1"), append("a/2")]
        await commit(*commands)
        feed.offer(offered(commands, 1))
        await feed.reach(2)
        later = Ear(feed)
        await commit(append("a/3"))
        await later.hears(3)
        assert later.seqs == [3]
        assert ear.seqs == []

    run(work)


def test_reaching_waits_for_all_that_is_committed(run: Run) -> None:
    async def work(feed: Feed, ear: Ear) -> None:
        await commit(append(), append(), append())
        await feed.reach(1)
        assert feed.position == 3
        assert ear.seqs == [1, 2, 3]
        with pytest.raises(SinceAhead):
            await feed.reach(4)

    run(work, is_deaf=True)


def test_without_the_database_what_is_known_can_be_reached(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(feed: Feed, ear: Ear) -> None:
        await commit(append())
        await ear.hears(1)
        feed._line.close()
        monkeypatch.setattr(feed._line, "_connect", away)
        await feed.reach(1)
        with pytest.raises(DatabaseUnavailable):
            await feed.reach(2)

    def away() -> object:
        raise DatabaseUnavailable

    run(work)


def test_another_log_ends_all_and_begins_anew(run: Run) -> None:
    async def work(feed: Feed, ear: Ear) -> None:
        await commit(append(), append())
        await ear.hears(2)
        await asyncio.to_thread(emptied)
        feed._read()
        async with asyncio.timeout(SECONDS):
            while feed.position != 0:
                await feed.moved()
        assert ear.ended == LOG_RESET
        await commit(append("a/new"))
        await feed.reach(1)
        assert ear.ids[-1] == "a/new"

    run(work)


def emptied() -> None:
    reset.empty()
    connections.close_all()


def test_a_commit_is_offered_to_its_own_loop_alone(run: Run) -> None:
    async def work(feed: Feed, ear: Ear) -> None:
        other = asyncio.new_event_loop()
        announce.tell(other, offered([append("a/x")], 1))
        announce.tell(feed.loop, offered([append("a/y")], 1))
        await ear.hears(1)
        other.close()
        assert ear.ids == ["a/y"]

    run(work)


def test_a_bug_in_a_listener_ends_it_and_not_the_feed(run: Run) -> None:
    async def work(feed: Feed, ear: Ear) -> None:
        def break_(batch: Batch, *, upto: int) -> None:
            message = "a bug"
            raise FluxError(message)

        sound = ear.take
        ear.take = break_  # type: ignore[method-assign]  # what is broken here
        await commit(append())
        await feed.reach(1)
        assert ear.ended is not None
        ear.take = sound  # type: ignore[method-assign]
        await commit(append())
        await ear.hears(2)
        assert ear.seqs == [2]

    run(work)
