"""Callers gather while one is served: a thread that takes what waits in one go.

A commit costs an fsync and its round trips; shared by all who wait, they cost each
little. Invariant: every item that `submit` took is answered exactly once, with its own
result or with an error.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

import structlog
from msgspec import Struct

from flux_project import bugs
from flux_project.errors import FluxError, Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")
Answer = Callable[[Result | FluxError], None]

logger = structlog.get_logger(__name__)


class Overloaded(Unavailable):
    """More requests wait than this server holds in memory; try again soon."""

    code = "overloaded"


class ShuttingDown(Unavailable):
    """This server is being stopped; try again."""

    code = "shutting_down"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much goes into one group, and how much may wait (items and bytes)."""

    group_items: int
    group_bytes: int
    waiting_bytes: int


class _Waiting(Struct, Generic[Item, Result], frozen=True):
    item: Item
    items: int
    size: int
    answer: Answer[Result]
    loop: asyncio.AbstractEventLoop | None


class Gatherer(Generic[Item, Result]):
    """One thread that serves what gathered, group by group, in order of arrival."""

    def __init__(
        self,
        name: str,
        serve: Callable[[Sequence[Item]], Sequence[Result | FluxError]],
        bounds: Bounds,
    ) -> None:
        self.name = name
        self._serve = serve
        self._bounds = bounds
        # None ends the thread. A SimpleQueue is written in C: putting into it takes a
        # tenth of a condition's time (5 us a request, with both threads busy).
        self._queue: SimpleQueue[_Waiting[Item, Result] | None] = SimpleQueue()
        self._left_over: _Waiting[Item, Result] | None = None
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.is_stopped = False

    def submit(
        self,
        item: Item,
        answer: Answer[Result],
        *,
        size: int = 0,
        items: int = 1,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Queues an item; `answer` is called once, on `loop` or on the thread.

        Raises Overloaded or ShuttingDown, and then `answer` is never called.
        """
        with self._lock:
            if self.is_stopped:
                raise ShuttingDown
            waiting = self._waiting_bytes
            if waiting and waiting + size > self._bounds.waiting_bytes:
                raise Overloaded
            self._waiting_bytes = waiting + size
            if self._thread is None:
                self._start()
            self._queue.put(_Waiting(item, items, size, answer, loop))

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def call(self, item: Item, *, size: int = 0, items: int = 1) -> Result:
        """Submits and waits, for callers that have a thread to spare."""
        future: Future[Result | FluxError] = Future()
        self.submit(item, future.set_result, size=size, items=items)
        result = future.result()
        if isinstance(result, FluxError):
            raise result
        return result

    def stop(self) -> None:
        """Serves what waits, then ends the thread. Later items are refused."""
        with self._lock:
            self.is_stopped = True
            self._queue.put(None)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while group := self._take():
            try:
                results = self._serve([waiting.item for waiting in group])
            except FluxError as error:
                results = [error] * len(group)
            except Exception:  # noqa: BLE001  the thread must outlive any bug
                results = [bugs.of_group(gatherer=self.name)] * len(group)
            self._answer(group, results)

    def _take(self) -> list[_Waiting[Item, Result]]:
        """Waits for work; as much of it as fits a group. Empty: the end."""
        first = self._left_over or self._queue.get()
        self._left_over = None
        group: list[_Waiting[Item, Result]] = []
        items = size = 0
        while first is not None:
            items, size = items + first.items, size + first.size
            fits = (
                items <= self._bounds.group_items and size <= self._bounds.group_bytes
            )
            if group and not fits:
                self._left_over = first
                size -= first.size
                break
            group.append(first)
            try:
                first = self._queue.get_nowait()
            except Empty:
                break
        else:
            if group:
                # The end was asked for behind this group: it is found there again.
                self._queue.put(None)
        with self._lock:
            self._waiting_bytes -= size
        return group

    def _answer(
        self,
        group: Sequence[_Waiting[Item, Result]],
        results: Sequence[Result | FluxError],
    ) -> None:
        """Hands the results over, with one wake-up a loop instead of one an item."""
        calls: dict[asyncio.AbstractEventLoop | None, list[_Call]] = {}
        for waiting, result in zip(group, results, strict=True):
            calls.setdefault(waiting.loop, []).append((waiting.answer, result))
        for loop, batch in calls.items():
            if loop is None:
                _run_all(batch)
            elif not loop.is_closed():
                loop.call_soon_threadsafe(_run_all, batch)


_Call = tuple[Callable[[Any], None], Any]


def _run_all(calls: Sequence[_Call]) -> None:
    for answer, result in calls:
        try:
            answer(result)
        except Exception:
            logger.exception("answer_failed")
