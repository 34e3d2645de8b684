"""How messages of clients are read: at once, or on threads, large ones in turns."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from flux_project import bodies
from flux_project.gather import Overloaded
from state import intake
from state.consumers import TextWire
from state.feed import Feed
from state.intake import Publisher
from state.messages import Refused
from state.session import Session
from state.wires import OVERLOADED

SECONDS = 30
NOBODY = Publisher(None, "127.0.0.1")
LARGE = b" " * intake.LARGE_BYTES
WHILE_READ = (intake.WORTH_WHILE_READ - 1) * len(LARGE)
EVENT = b'{"stream":"s","source":"s","payload":{"entity_id":"a","properties":%b}}'


@pytest.fixture(autouse=True)
def nothing_stays_held() -> Iterator[None]:
    yield
    assert bodies.budget.held == 0


class SlowReading:
    """In place of `intake.read`: large ones are under way until `go_on`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.under_way = self.most = self.done = 0
        self.go_on = threading.Event()
        self._lock = threading.Lock()
        monkeypatch.setattr(intake, "read", self._read)

    def _read(
        self, text: bytes, publisher: Publisher, *, may_look: bool = False
    ) -> Refused:
        is_large = len(text) >= intake.LARGE_BYTES
        with self._lock:
            self.under_way += is_large
            self.most = max(self.most, self.under_way)
        if is_large:
            self.go_on.wait(SECONDS)
            time.sleep(0.02)
        with self._lock:
            self.under_way -= is_large
            self.done += 1
        return Refused(Overloaded())


async def until(condition: Callable[[], object]) -> None:
    for _ in range(SECONDS * 100):
        if condition():
            return
        await asyncio.sleep(0.01)
    message = "still waiting"
    raise TimeoutError(message)


def test_large_messages_are_read_two_at_a_time_and_weigh_more_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading = SlowReading(monkeypatch)

    async def one() -> None:
        assert intake.hold(LARGE)
        await intake.read_on_thread(LARGE, NOBODY)
        intake.give_back(len(LARGE))

    async def main() -> None:
        large = [asyncio.create_task(one()) for _ in range(6)]
        await until(lambda: reading.under_way == 2)
        assert bodies.budget.held == 6 * len(LARGE) + 2 * WHILE_READ
        # Smaller ones wait for no turn.
        await asyncio.wait_for(intake.read_on_thread(b"small", NOBODY), SECONDS)
        reading.go_on.set()
        await asyncio.wait_for(asyncio.gather(*large), SECONDS)

    for loop in range(2):  # turns belong to a loop
        reading.go_on.clear()
        asyncio.run(main())
        assert reading.done == 7 * (loop + 1)
    assert reading.most == 2


def test_a_large_message_has_its_turn_until_it_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading = SlowReading(monkeypatch)
    reading.go_on.set()

    async def main() -> None:
        for _ in range(2):
            assert intake.hold(LARGE)
            await intake.read_on_thread(LARGE, NOBODY)  # read, but not yet stored
        third = asyncio.create_task(intake.read_on_thread(LARGE, NOBODY))
        await intake.read_on_thread(b"small", NOBODY)
        assert not third.done()
        intake.give_back(len(LARGE))
        await asyncio.wait_for(third, SECONDS)
        intake.give_back(len(LARGE))

    asyncio.run(main())


def test_a_large_message_that_is_too_much_to_read_ends_its_connection_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading = SlowReading(monkeypatch)
    reading.go_on.set()
    monkeypatch.setattr(bodies.budget, "most", 2 * len(LARGE))

    async def main() -> None:
        feed = cast(Feed, SimpleNamespace(loop=asyncio.get_running_loop()))
        for _ in range(3):  # more than there are turns
            wire = TextWire()
            Session(feed, wire, NOBODY).receive(LARGE)
            await until(lambda: wire.ended is not None)  # noqa: B023  called now
            assert wire.ended == OVERLOADED
        other = TextWire()
        Session(feed, other, NOBODY).receive(b" " * (intake.LARGE_BYTES - 1))
        await until(lambda: other.held_bytes)
        assert other.ended is None

    asyncio.run(main())
    assert reading.done == 1


@pytest.mark.parametrize(
    ("text", "is_long"),
    [
        (b'{"type":"subscribe","entity_id":"*"}', False),
        (b'{"type":"publish","event":%b}' % EVENT % b'{"a":1}', False),
        (
            b'{"type":"publish","events":[%b]}'
            % b",".join([EVENT % b'{"a":1,"b":"x"}'] * 40),
            False,
        ),
        (b'{"type":"publish","events":[1%b]}' % (b",1" * 150), False),
        (b'{"type":"publish","events":[1%b]}' % (b",1" * 500), True),
        (b'{"type":"publish","events":[%b]}' % b",".join([b"{}"] * 250), True),
        (b'[{"":' * 250, True),
        (b"x" * intake.THREAD_BYTES, False),
        (b"x" * (intake.THREAD_BYTES + 1), True),
    ],
)
def test_what_takes_long_to_read_is_not_read_on_the_loop(
    text: bytes, *, is_long: bool
) -> None:
    assert intake.is_long(text) is is_long
