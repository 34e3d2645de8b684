"""Writes gathered on a loop: decided from an outlook, stored where that was right."""

import asyncio
import os
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import uvloop

from events import committer, draft, exact, grouped, ingest, log, outlook
from events.commands import Append, Command, Outcome, Stored
from events.group import Group
from events.grouped import GroupedCommits
from events.ingest import OutcomeUnknown, RefusedByDatabase
from events.models import Event
from flux_project import database
from flux_project.database import LOG_LOCK_KEY, DatabaseUnavailable
from flux_project.errors import FluxError
from flux_project.gather import Bounds, Gatherer, Overloaded
from flux_project.looped import LoopConnection
from flux_project.pipeline import Call
from state.rebuild import rebuild
from state.verify import verify
from tests.storage.test_model import Quiet
from tests.support.said import World, append, poison

Committed = list[Outcome] | FluxError


class Room:
    """A loop with its commits, what they send, and what they pass on."""

    def __init__(self, loop: asyncio.AbstractEventLoop, bounds: Bounds) -> None:
        self.loop = loop
        self.passed_on: list[Sequence[Command]] = []
        self.sent: list[list[str]] = []
        self.thread: Gatherer[Sequence[Command], list[Outcome]] = Gatherer(
            "a test commits", self._carefully, bounds
        )
        self.commits = GroupedCommits(loop, self.thread, bounds)

    def _carefully(
        self, requests: Sequence[Sequence[Command]]
    ) -> Sequence[list[Outcome] | FluxError]:
        self.passed_on += requests
        return committer._serve(requests)

    def submit(self, *commands: Command, size: int = 100) -> asyncio.Future[Committed]:
        future: asyncio.Future[Committed] = self.loop.create_future()
        self.commits.submit(commands, future.set_result, size=size)
        return future

    async def commit(self, *commands: Command) -> list[Outcome]:
        found = await self.submit(*commands)
        assert isinstance(found, list), found
        return found

    async def seqs(self, *commands: Command) -> list[int]:
        return seqs(await self.commit(*commands))


def seqs(found: Committed) -> list[int]:
    assert isinstance(found, list), found
    return [one.seq for one in found if isinstance(one, Stored)]


Run = Callable[[Callable[[Room], Any]], Any]


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs a test on a loop like a server's; the state is right after it."""

    def running(
        work: Callable[[Room], Any], bounds: Bounds = committer.BOUNDS
    ) -> object:
        async def main() -> object:
            room = Room(asyncio.get_running_loop(), bounds)
            send = LoopConnection.exchange

            def exchange(line: Any, calls: Sequence[Call], done: Any) -> None:
                room.sent.append([call[0].name.decode() for call in calls])
                send(line, calls, done)

            monkeypatch.setattr(LoopConnection, "exchange", exchange)
            try:
                return await asyncio.wait_for(work(room), 60)
            finally:
                room.commits.close()
                await asyncio.to_thread(room.thread.stop)

        return uvloop.run(main())

    yield running
    committer._session.drop()
    with database.connect(name="a test verifies") as connection:
        assert verify(connection, Quiet()).differences == []


def test_a_commit_asks_for_nothing_once_the_entities_are_known(run: Run) -> None:
    async def work(room: Room) -> None:
        assert await room.seqs(append("a/x"), append("a/y")) == [1, 2]
        room.sent.clear()
        assert await room.seqs(append("a/x"), append("a/y")) == [3, 4]
        assert await room.seqs(append("a/y")) == [5]
        assert len(room.sent) == 2
        assert room.sent[0][:3] == [
            "flux_events_lock",
            "flux_events_expect",
            "flux_events_append",
        ]
        assert not room.passed_on

    run(work)


def test_what_waits_goes_in_one_transaction(run: Run, world: World) -> None:
    async def work(room: Room) -> None:
        await room.commit(append("a/x"))
        room.sent.clear()
        answers = [room.submit(append("a/x", {"n": n})) for n in range(20)]
        await asyncio.gather(*answers)
        assert len(room.sent) == 1

    run(work)
    assert world.get("a/x")["a/x"]["properties"] == {"n": 19}
    assert world.rows("SELECT count(DISTINCT recorded_at) FROM events_event") == [(2,)]


def test_what_another_process_wrote_is_seen(run: Run, world: World) -> None:
    async def work(room: Room) -> None:
        await room.commit(append("a/x", {"n": 1}))
        await asyncio.to_thread(
            ingest.commit, [append("a/x", {"m": 2}), append("a/new", event_id="e")]
        )
        assert await room.seqs(append("a/x", {"n": 3})) == [4]
        assert room.passed_on
        assert await room.commit(append("a/new", event_id="e")) == [
            Stored("e", "test", 3, is_duplicate=True)
        ]
        await asyncio.sleep(grouped.CAREFUL_SECONDS * 1.5)
        room.passed_on.clear()
        assert await room.seqs(append("a/x"), append("a/new")) == [5, 6]
        assert not room.passed_on

    run(work)
    assert world.get("a/x")["a/x"]["properties"] == {"n": 3, "m": 2}
    assert world.get("a/x")["a/x"]["version"] == 4


def test_a_client_given_id_is_stored_once(run: Run, world: World) -> None:
    async def work(room: Room) -> None:
        await room.commit(append("a/x"))
        first = append("a/x", {"n": 1}, event_id="e", stream="first")
        again = append("a/y", {"n": 2}, event_id="e")
        answers = [room.submit(first), room.submit(again), room.submit(again)]
        assert await asyncio.gather(*answers) == [
            [Stored("e", "first", 2)],
            [Stored("e", "first", 2, is_duplicate=True)],
            [Stored("e", "first", 2, is_duplicate=True)],
        ]
        assert await room.commit(again) == [Stored("e", "first", 2, is_duplicate=True)]
        assert not room.passed_on

    run(work)
    assert world.get("a/y") == {}


def test_a_duplicate_alone_is_checked_against_the_log_all_the_same(run: Run) -> None:
    async def work(room: Room) -> None:
        await room.commit(append("a/x", event_id="e"))
        room.sent.clear()
        await room.commit(append("a/x", event_id="e"))
        assert room.sent == [["flux_events_lock", "flux_events_expect"]]

    run(work)


def test_poison_fails_alone(run: Run) -> None:
    async def work(room: Room) -> None:
        await room.commit(append("a/x"))
        commands = [append("a/x"), poison("a/x"), append("a/x")]
        first, bad, last = await asyncio.gather(*[room.submit(one) for one in commands])
        assert (seqs(first), seqs(last)) == ([2], [3])
        assert isinstance(bad, list)
        assert isinstance(bad[0], RefusedByDatabase)

    run(work)


def test_an_entity_near_its_limit_is_measured(run: Run) -> None:
    """Where a bound is not enough to decide, the committer asks the database."""

    async def work(room: Room) -> None:
        await room.commit(append("a/x", {"n": 1}))
        large = {"x": "x" * 100_000}
        assert await room.seqs(append("a/x", large)) == [2]
        assert room.passed_on
        await asyncio.sleep(grouped.CAREFUL_SECONDS * 1.5)
        room.passed_on.clear()
        # A bound that has only grown by guesses is asked for again, and is small.
        for n in range(40):
            await room.commit(append("a/y", {"x": "x" * 5_000, "n": n}))
        assert not room.passed_on

    run(work)


def test_a_log_that_was_emptied_is_another_log(run: Run, world: World) -> None:
    """Its head may stand where the old one's stood."""

    async def work(room: Room) -> None:
        await room.commit(append("a/x", {"old": 1}))
        await asyncio.to_thread(_begin_anew)
        assert await room.seqs(append("a/x", {"n": 2})) == [2]

    run(work)
    assert world.get("a/x")["a/x"]["properties"] == {"n": 2}
    assert world.get("a/x")["a/x"]["version"] == 1


def _begin_anew() -> None:
    with database.connect(name="a test empties") as connection:
        connection.execute("TRUNCATE events_event, state_entity, state_count")
        connection.execute("UPDATE events_log SET log_id = gen_random_uuid()")
    ingest.commit([append("a/other", event_id="e")])
    ingest._threads.session.drop()


def test_a_newer_registry_makes_the_outlook_void(run: Run) -> None:
    async def work(room: Room) -> None:
        await room.commit(append("a/x"))
        await asyncio.to_thread(_bump)
        assert await room.seqs(append("a/x")) == [2]
        assert room.passed_on

    run(work)


def _bump() -> None:
    with database.connect(name="a test bumps") as connection:
        connection.execute("UPDATE events_log SET registry_version = 7")


def test_a_rebuilt_state_makes_the_outlook_void(run: Run, world: World) -> None:
    """It may have mended what processes have read before."""

    async def work(room: Room) -> None:
        await room.commit(append("a/x"))
        await asyncio.to_thread(_damage)
        room.commits._give_up([])
        await asyncio.sleep(grouped.CAREFUL_SECONDS * 1.5)
        await room.commit(append("a/x"))
        assert world.get("a/x")["a/x"]["version"] == 41
        await asyncio.to_thread(rebuild, Quiet())
        await room.commit(append("a/x"))

    run(work)
    assert world.get("a/x")["a/x"]["version"] == 3


def _damage() -> None:
    with database.connect(name="a test damages") as connection:
        connection.execute("UPDATE state_entity SET version = 40")


def test_a_lost_connection_is_made_anew(run: Run, world: World) -> None:
    async def work(room: Room) -> None:
        await room.commit(append("a/x"))
        assert _terminate(world) == 1
        await asyncio.sleep(0.2)
        assert await room.seqs(append("a/x")) == [2]

    run(work)


def _terminate(world: World) -> int:
    rows = world.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'flux committer'"
        " AND datname = current_database()"
    )
    return len(rows)


def test_a_backend_that_stands_still_leaves_the_outcome_unknown(
    run: Run, world: World
) -> None:
    """It has the whole transaction before it, unread, and may yet carry it out."""
    frozen: list[int] = []

    async def work(room: Room) -> None:
        await room.commit(append("a/x"))
        frozen.append(room.commits._line.backend_pid)
        os.kill(frozen[0], signal.SIGSTOP)
        try:
            answer = room.submit(append("a/x"))
            await asyncio.sleep(0.1)
            room.commits.close()
            assert isinstance(await answer, OutcomeUnknown)
        finally:
            os.kill(frozen[0], signal.SIGCONT)
        await asyncio.sleep(0.5)
        assert await room.seqs(append("a/x")) == [2], "it was ended, and stored nothing"

    run(work)


def test_half_an_exchange_is_never_committed(
    run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sending fails in the middle; what follows must not complete it."""

    async def work(room: Room) -> None:
        await room.commit(append("a/x"))
        bad: Any = (log.STATEMENTS[0], ("no bytes",))
        whole = draft.Draft.calls
        with monkeypatch.context() as broken:
            broken.setattr(draft.Draft, "calls", lambda one: [*whole(one)[:3], bad])
            answers = [room.submit(append("a/x")), room.submit(append("a/new"))]
            first, second = await asyncio.gather(*answers)
        assert isinstance(first, DatabaseUnavailable)
        assert seqs(second) == [2]

    run(work)
    assert world.rows("SELECT count(*) FROM events_event") == [(2,)]


def test_while_another_holds_the_lock_for_too_long_nothing_is_stored(run: Run) -> None:
    async def work(room: Room) -> None:
        await room.commit(append("a/x"))
        holding = await asyncio.to_thread(database.connect, name="a test holds")
        holding.autocommit = False
        holding.execute("SELECT pg_advisory_xact_lock(%s)", (LOG_LOCK_KEY,))
        holding.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        found = await room.submit(append("a/x"))
        assert isinstance(found, DatabaseUnavailable)
        holding.close()
        assert await room.seqs(append("a/x")) == [2]

    run(work)


def test_without_a_database_everybody_hears_of_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(**_: object) -> None:
        raise DatabaseUnavailable

    async def work(room: Room) -> None:
        monkeypatch.setattr("flux_project.looped.connect", unavailable)
        answers = [room.submit(append(f"a/{n}")) for n in range(3)]
        found = await asyncio.gather(*answers)
        assert all(isinstance(one, DatabaseUnavailable) for one in found)
        monkeypatch.undo()
        await asyncio.sleep(grouped.CAREFUL_SECONDS * 1.5)
        assert await room.seqs(append("a/x")) == [1]

    run(work)


@pytest.mark.parametrize(
    "fails", ["decide_plain", "writes", "effect"], ids=["deciding", "writing", "after"]
)
def test_a_bug_is_answered_and_the_next_request_is_not_its_victim(
    run: Run, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def bug(*_: object) -> None:
        message = "the bug"
        raise RuntimeError(message)

    async def work(room: Room) -> None:
        await room.commit(append("a/x"))
        with monkeypatch.context() as broken:
            broken.setattr(Group, fails, bug)
            answers = [room.submit(append("a/x")) for _ in range(3)]
            for found in await asyncio.gather(*answers):
                # What only the loop does wrong, the thread does for it.
                is_stored = fails == "decide_plain"
                assert isinstance(found, list) is is_stored, found
        assert await room.seqs(append("a/x")) == [5 if is_stored else 2]

    run(work)


def test_more_than_may_wait_is_refused(run: Run) -> None:
    bounds = Bounds(group_items=10, group_bytes=1_000, waiting_bytes=2_000)

    async def work(room: Room) -> None:
        answers = [room.submit(append(f"a/{n}"), size=900) for n in range(2)]
        with pytest.raises(Overloaded):
            room.submit(append("a/x"), size=900)
        await asyncio.gather(*answers)
        assert await room.seqs(append("a/x")) == [3]
        # Room for as much again, however often.
        for _ in range(5):
            await asyncio.gather(*[room.submit(append("a/y"), size=900) for _ in "ab"])

    run(lambda room: work(room), bounds)  # type: ignore[call-arg]


def test_a_commit_that_another_could_be_mistaken_for_is_waited_for(
    run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process stores an event under the same client-given id, where this one
    wanted to: what was to follow it must not."""
    monkeypatch.setattr(draft, "FULL_REQUESTS", 1)

    async def work(room: Room) -> None:
        ours = append("a/x", {"n": 1}, event_id="e")
        await room.commit(append("a/x"))
        expected = room.commits._outlook
        assert expected is not None
        expected.learn_known([ours.event.digest or b""], {})
        theirs = append("a/y", {"n": 1}, event_id="e")
        await asyncio.to_thread(ingest.commit, [theirs])
        answers = room.submit(ours), room.submit(append("a/x", {"n": 2}))
        first, second = await asyncio.gather(*answers)
        assert first == [Stored("e", "test", 2, is_duplicate=True)]
        assert seqs(second) == [3]

    run(work)
    assert world.get("a/x")["a/x"]["version"] == 2


def test_the_next_transaction_is_sent_behind_the_one_under_way(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft, "FULL_REQUESTS", 3)

    async def work(room: Room) -> None:
        await room.commit(append("a/x"))
        room.sent.clear()
        answers = [room.submit(append("a/x")) for _ in range(8)]
        assert len(room.sent) == 2, "nothing of it was answered yet"
        found = await asyncio.gather(*answers)
        assert [seqs(one) for one in found] == [[seq] for seq in range(2, 10)]

    run(work)


def test_an_answer_older_than_what_was_sent_since_is_no_news(
    run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entity is asked for while a change to it is decided, which goes before the
    answer comes."""
    monkeypatch.setattr(draft, "FULL_REQUESTS", 1)

    async def work(room: Room) -> None:
        await room.commit(append("a/x", {"x": "x" * 15_000}), append("a/y"))
        commands = [
            append("a/y"),
            append("a/y"),  # two are under way now, and the next waits for them
            append("a/x", {"n": 1}),
            append("a/x", {"y": "y" * 60_000}),  # in doubt, as far as is known
        ]
        answers = [room.submit(one) for one in commands]
        await asyncio.gather(*answers)
        await room.commit(append("a/x", {"n": 2}))

    run(work)
    assert world.get("a/x")["a/x"]["version"] == 4


class Mixture:
    """Clients of a loop and another process beside it, and what they were answered."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311  a plan, no secret
        self.stored: dict[int, str] = {}

    def command(self) -> Append:
        id_ = f"a/{self.chance.randrange(12)}"
        turn = self.chance.random()
        if turn < 0.03:
            return poison(id_)
        if turn < 0.1:
            return append(id_, {"__deleted__": True})
        if turn < 0.15:
            return append(id_, {"x": "x" * 30_000, "n": turn})
        event_id = f"e{self.chance.randrange(60)}" if turn < 0.4 else None
        properties = {f"p{self.chance.randrange(3)}": turn}
        return append(id_, properties, event_id=event_id)

    def note(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            assert isinstance(outcome, Stored | RefusedByDatabase)
            if isinstance(outcome, Stored) and not outcome.is_duplicate:
                assert outcome.seq not in self.stored
                self.stored[outcome.seq] = outcome.event_id

    async def client(self, room: Room) -> None:
        for _ in range(40):
            size = self.chance.choice((1, 1, 1, 5))
            self.note(await room.commit(*[self.command() for _ in range(size)]))
            if self.chance.random() < 0.1:
                await asyncio.sleep(0.005)

    async def other_process(self) -> None:
        for _ in range(15):
            commands = [self.command() for _ in range(3)]
            self.note(await asyncio.to_thread(ingest.commit, commands))
            await asyncio.sleep(self.chance.random() * 0.03)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_mixed_the_log_and_the_state_agree(
    run: Run, world: World, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Few places in memory, small groups, another process beside it, ids that come
    again, poison: every event is stored once, and the state is what the log says."""
    monkeypatch.setattr(outlook, "MOST_KNOWN", 5)
    monkeypatch.setattr(draft, "FULL_REQUESTS", 4)
    monkeypatch.setattr(grouped, "CAREFUL_SECONDS", 0.002)
    mixture = Mixture(seed)

    async def work(room: Room) -> None:
        clients = [mixture.client(room) for _ in range(12)]
        await asyncio.gather(*clients, mixture.other_process())
        optimistic = [calls for calls in room.sent if "flux_events_append" in calls]
        assert len(optimistic) > 20, "the loop itself has committed"
        assert room.passed_on

    run(work)
    rows = dict(Event.objects.order_by("seq").values_list("seq", "event_id"))
    assert rows == mixture.stored
    assert list(rows) == list(range(1, len(rows) + 1))


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b'{"a":[1,2,{"b":"c,d:e"}],"f":null}',
        b'{"a":1e308,"b":-1E-308,"c":[1e+99,2.5e-99]}',
        b'{"a":"3e7, 4e9 and \\u0041\\n are text"}',
        b'{"a":' + b"9" * 400 + b'e-300,"b":0.' + b"1" * 390 + b"}",
        b'{"a":-0.0,"b":1.50000}',
    ],
)
def test_no_text_grows_beyond_its_bound(world: World, text: bytes) -> None:
    [(size,)] = world.rows("SELECT octet_length(%s::jsonb::text)", text.decode())
    assert size <= exact.most_bytes(text)
