"""A listener that folds is told something, in order, however fast events come."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, cast

import pytest

from state import catchup
from state.batch import Batch
from state.feed import Feed
from state.frames import Told
from state.interest import Interest, Kind
from state.listener import Listener
from state.topics import Topics
from state.turns import Turns
from state.wires import End
from tests.support.told import told

ONE = Interest(Kind.ENTITY, "only/this")
TWO = Interest(Kind.ENTITY, "another/one")


class Wire:
    """Takes so many frames, and more when it is told to. frames: what was written."""

    is_websocket = True

    def __init__(self, *, takes: int) -> None:
        self.ended: End | None = None
        self.frames: list[dict[str, Any]] = []
        self._takes = takes
        self._room = asyncio.Event()

    @property
    def is_full(self) -> bool:
        return len(self.frames) >= self._takes

    def take_all(self) -> None:
        self._takes = 1_000_000
        self._room.set()

    def send(self, batch: Batch) -> None:
        self.send_texts(batch.texts)

    def send_texts(self, texts: Sequence[bytes], *, seq: int | None = None) -> None:
        self.frames += map(json.loads, texts)

    async def drained(self) -> None:
        if self.is_full:
            await self._room.wait()

    def end(self, why: End) -> None:
        self.ended = why

    def hold_reading(self, *, is_held: bool) -> None: ...
    def tell(self, text: bytes) -> None: ...
    def beat(self) -> None: ...
    def progress(self) -> int | None: ...


class Log:
    """As much of a feed as one who catches up sees of it.

    has_no_end: while some events are read, as many more are written.
    """

    def __init__(self, events: int, *, has_no_end: bool = False) -> None:
        self.loop = asyncio.get_running_loop()
        self.topics, self.turns, self.recent = Topics(), Turns(), self
        self.past: Past | None = None
        self.position = 0
        self.goes_to = events
        self._has_no_end = has_no_end

    def after(self, seq: int, *, most: int) -> list[Told]:
        upto = min(seq + most, self.position)
        if self._has_no_end:
            self.position += upto - seq
        return [
            told(one, f"load/{one % 50}", {"properties": {"n": one, "text": "x" * 99}})
            for one in range(seq + 1, upto + 1)
        ]

    async def moved(self) -> None:
        await asyncio.sleep(3_600)


async def behind(log: Log, wire: Wire) -> Listener:
    """A listener to everything that has missed all there is, and folds."""
    listener = Listener(cast(Feed, log), wire)
    listener.join(is_implicit=True)
    listener.take(Batch(log.after(0, most=0)), upto=0)
    listener._fall_behind()
    log.position = log.goes_to
    return listener


async def until(is_so: Any) -> None:
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catchup, "PATIENCE_SECONDS", -1.0)


async def test_events_that_come_as_fast_as_they_are_folded_are_told_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catchup, "TELL_SECONDS", 0.05)
    wire = Wire(takes=1_000_000)
    listener = await behind(Log(1_000, has_no_end=True), wire)
    await until(lambda: len(wire.frames) > 100)
    assert any(frame["type"] == "conflated" for frame in wire.frames)
    listener.leave()


@pytest.mark.parametrize("does", ["subscribe", "unsubscribe"])
async def test_an_acknowledgement_comes_behind_what_lies_before_its_place(
    monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    monkeypatch.setattr(catchup, "CHUNK_BYTES", 1_000)
    wire = Wire(takes=10)
    listener = await behind(Log(1_000), wire)
    await until(lambda: wire.is_full)
    if does == "unsubscribe":
        listener.subscribe(ONE)
    getattr(listener, does)(ONE)
    wire.take_all()
    await until(lambda: wire.frames[-1]["type"] == f"{does}d")
    place = wire.frames[-1]["seq"]
    assert place == 1_000
    seqs = [frame["seq"] for frame in wire.frames if "property" in frame]
    assert seqs[-1] == place
    assert seqs == sorted(seqs)
    listener.leave()


class Past:
    """Shows nothing, and only when it is let."""

    def __init__(self) -> None:
        self.is_let = asyncio.Event()
        self.is_asked = False

    async def entities(self, *_: object, **__: object) -> tuple[list[Any], bool]:
        self.is_asked = True
        await self.is_let.wait()
        return [], True


async def test_who_leaves_and_comes_back_is_there_in_the_end() -> None:
    """Also when a snapshot lies between the two."""
    log, past, wire = Log(1_000), Past(), Wire(takes=10)
    log.past = past
    listener = await behind(log, wire)
    await until(lambda: wire.is_full)
    listener.subscribe(TWO, snapshot=True)
    listener.subscribe(ONE)
    listener.unsubscribe(ONE)
    wire.take_all()
    await until(lambda: past.is_asked)
    listener.subscribe(ONE)
    past.is_let.set()
    await until(lambda: wire.frames[-1]["type"] == "subscribed")
    about = [frame for frame in wire.frames if frame.get("entity_id") == ONE.value]
    assert [frame["type"] for frame in about] == ["unsubscribed", "subscribed"]
    assert listener._subscriptions.get(ONE)
    listener.leave()
