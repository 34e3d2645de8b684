"""A load of writers that keep account of what they were told.

Every event carries a mark that no other has, so that `tests.support.ledger` can hold
the log against the account afterwards. Invariant: whatever happens to the server, a
request ends as stored, refused or unknown, and nothing but 200 and a well-formed 503 is
taken for an answer.
"""

import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.client import Answer, HungUp, Line, check_shape, event, request
from tests.support.servers import wait_for

HOT_ENTITIES = 12
LARGEST_BATCH = 20
REQUESTS_A_LINE = 10
SETTLE_SECONDS = 60.0
BACK_OFF_SECONDS = 0.1
UNKNOWN = "outcome_unknown"
Place = tuple[str, int]  # eventId and seq
_numbers = itertools.count(1)


@dataclass
class Request:
    """One POST: the marks of its events, and what became of them.

    given: its events bear ids of the client's, so it is sent again until it is stored.
    code: None while nobody has answered; "" once it is stored.
    """

    events: list[dict[str, Any]]
    is_batch: bool
    is_given: bool
    code: str | None = None
    places: list[Place] = field(default_factory=list)
    duplicates: int = 0

    @property
    def marks(self) -> list[str]:
        return [one["payload"]["properties"]["mark"] for one in self.events]

    @property
    def is_stored(self) -> bool:
        return self.code == ""

    @property
    def is_unknown(self) -> bool:
        return self.code is None or self.code == UNKNOWN

    @property
    def bytes(self) -> bytes:
        path = "/api/events/batch" if self.is_batch else "/api/events"
        body = {"events": self.events} if self.is_batch else self.events[0]
        return post(path, body)


def post(path: str, body: object) -> bytes:
    return request("POST", path, json.dumps(body).encode())


def ask(line: Line, data: bytes) -> Answer:
    """One answer; raises OSError or HungUp when the server ends it instead."""
    line.send(data)
    return line.answer()


class Writer:
    """One client: an account of requests, each sent over a line that may break."""

    def __init__(self, port: int, *, pause: float) -> None:
        self.name = f"w{next(_numbers)}"
        self.port = port
        self.pause = pause
        self.requests: list[Request] = []
        self.refusals: Counter[str] = Counter()
        self.lost = 0
        self.stored = 0
        self._random = random.Random(self.name)  # noqa: S311  a plan, no secret
        self._marks = itertools.count(1)
        self._line: Line | None = None

    def run(self, stop: threading.Event, limit: int | None) -> None:
        """Sends until told to stop or `limit` is reached; then settles what is open."""
        while not stop.is_set() and (limit is None or len(self.requests) < limit):
            one = self._next()
            self.requests.append(one)
            self._send(one)
            if self._is_open(one):
                # At once: the server may still be busy with what it never answered.
                self._send(one)
            if not one.is_stored:
                time.sleep(BACK_OFF_SECONDS)
            if len(self.requests) % REQUESTS_A_LINE == 0:
                self._hang_up()  # so that every process gets its share
            time.sleep(self.pause)
        for open_one in [one for one in self.requests if self._is_open(one)]:
            self._settle(open_one)
        self._hang_up()

    def _is_open(self, one: Request) -> bool:
        return one.is_given and not one.is_stored

    def _next(self) -> Request:
        is_batch = self._random.random() < 0.3
        is_given = self._random.random() < 0.4
        count = self._random.randint(2, LARGEST_BATCH) if is_batch else 1
        return Request(
            [self._event(is_given) for _ in range(count)], is_batch, is_given
        )

    def _event(self, is_given: bool) -> dict[str, Any]:  # noqa: FBT001  one caller
        mark = f"{self.name}-{next(self._marks)}"
        shared = f"crowd/{self._random.randrange(HOT_ENTITIES)}"
        entity_id = self._random.choice([shared, f"alone/{self.name}"])
        properties = {"mark": mark, self._random.choice("abcd"): self._random.random()}
        one = event(entity_id, properties)
        if self._random.random() < 0.1:
            one["payload"]["unset"] = ["a", "never there"]
        if self._random.random() < 0.03:
            properties["__deleted__"] = True
        if is_given:
            one["eventId"] = f"given {mark}"
        return one

    def _settle(self, one: Request) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        while self._is_open(one):
            assert time.monotonic() < deadline, f"never answered: {one}"
            self._send(one)
            time.sleep(BACK_OFF_SECONDS)

    def _send(self, one: Request) -> None:
        try:
            if self._line is None:
                self._line = Line(self.port)
            answer = ask(self._line, one.bytes)
        except (OSError, HungUp):
            self.lost += 1
            self._hang_up()
            return
        self._note(one, answer)

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _note(self, one: Request, answer: Answer) -> None:
        check_shape(answer, "POST")
        if answer.status == 503:
            assert int(answer.headers["retry-after"]) > 0
            one.code = str(answer.code)
            self.refusals[one.code] += 1
            return
        assert answer.status == 200, answer
        found = answer.json["results"] if one.is_batch else [answer.json]
        assert not any(result.get("error") for result in found), found
        one.code = ""
        one.places = [(result["eventId"], result["seq"]) for result in found]
        one.duplicates = sum("duplicate" in result for result in found)
        self.stored += 1


class Load:
    """Writers at work, and their common account."""

    def __init__(self, ports: Sequence[int], *, writers: int, pause: float) -> None:
        turns = itertools.cycle(ports)
        self.writers = [Writer(next(turns), pause=pause) for _ in range(writers)]

    @property
    def stored(self) -> int:
        """How many requests were acknowledged so far."""
        return sum(writer.stored for writer in self.writers)

    @property
    def requests(self) -> list[Request]:
        return [one for writer in self.writers for one in writer.requests]

    @property
    def refusals(self) -> Counter[str]:
        """How often each code of a 503 was answered."""
        return sum((writer.refusals for writer in self.writers), Counter[str]())

    @property
    def lost(self) -> int:
        """How many answers never came, because the connection broke."""
        return sum(writer.lost for writer in self.writers)

    def goes_on(self, more: int = 20) -> None:
        """Waits until so many more requests are acknowledged."""
        goal = self.stored + more
        wait_for(lambda: self.stored >= goal, what=f"{more} more answers")


@contextmanager
def running(
    ports: Sequence[int],
    *,
    writers: int = 8,
    pause: float = 0.005,
    limit: int | None = None,
) -> Iterator[Load]:
    """Writers that send while the block runs, or `limit` requests each if given.

    Afterwards they have ended, and no request with ids of the client's is open.
    """
    load = Load(ports, writers=writers, pause=pause)
    stop = threading.Event()
    with ThreadPoolExecutor(writers) as threads:
        tasks = [threads.submit(one.run, stop, limit) for one in load.writers]
        try:
            yield load
            if limit is not None:
                for task in tasks:
                    task.result()
        finally:
            stop.set()
    for task in tasks:
        task.result()


@contextmanager
def repeating(work: Callable[[], object], *, pause: float = 0.01) -> Iterator[None]:
    """Calls `work` over and over beside the block; its failure is raised."""
    stop = threading.Event()

    def repeat() -> None:
        while not stop.is_set():
            work()
            time.sleep(pause)
        work()  # once more, so that it sees what the block did last

    with ThreadPoolExecutor(1) as threads:
        task = threads.submit(repeat)
        try:
            yield
        finally:
            stop.set()
    task.result()
