"""Runs a plan in a process of its own: listeners and publishers on one loop.

It shares the machine with what it measures, so what the server acknowledged is looked
at when the clock has stopped. Invariant: each listener was told each event that it
wants once and in order, or the run has a fault.

    python -m bench.listening '{"port": 3000, "groups": [[200, "?entity_id=a"]], …}'
"""

import gc
import itertools
import json
import os
import select
import socket
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from typing import Any

from bench import listeners, plan, trouble
from bench.listeners import Counting, Fault, Listener, Timing
from bench.plan import FIRST_READING, Heard, Plan
from flux_project import processes

DRAIN_SECONDS = 30.0
POLL_SECONDS = 0.1
# At the beginning of a phase, which is not measured.
SETTLE_SECONDS = 0.3
Centiles = tuple[float, float]  # the median, and the 99th


class Publisher:
    """A connection with one request under way at a time. answers: to requests of which
    layout, and what was said."""

    def __init__(self, port: int) -> None:
        self._line = socket.create_connection((plan.HOST, port))
        self._line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self._layout = 0
        self._sent_at = 0.0
        self.is_free = True
        self.answers: list[tuple[int, bytes]] = []
        self.delays: list[float] = []

    def fileno(self) -> int:
        return self._line.fileno()

    def close(self) -> None:
        self._line.close()

    def send(self, layout: int, request: bytes) -> None:
        self.is_free, self._layout = False, layout
        self._sent_at = time.perf_counter()
        self._line.sendall(request)

    def hear(self) -> None:
        """Takes what has arrived of the answer."""
        data = self._line.recv(listeners.CHUNK_BYTES)
        if not data:
            raise Fault("a publisher was hung up on")
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        _, _, length = head.partition(b"content-length: ")
        if not separator or len(body) < int(length.split(b"\r")[0]):
            return
        if not head.startswith(b"HTTP/1.1 200 "):
            raise Fault(f"not acknowledged: {self._received[:300]!r}")
        self.delays.append(1_000 * (time.perf_counter() - self._sent_at))
        self.answers.append((self._layout, body))
        self._received, self.is_free = b"", True


class Run:
    """All connections of a plan, and what comes over them."""

    def __init__(self, given: Plan) -> None:
        self.plan = given
        self._layouts = given.layouts
        requests = [plan.template(given, ids) for ids in self._layouts]
        self._requests = itertools.cycle(enumerate(requests))
        self._began_ns = time.monotonic_ns() - FIRST_READING
        self._sent = 0
        self._due = 0.0
        self._about = Counter(given.about)
        self.listeners = [self._listener(query) for query in given.queries]
        self.publishers = [Publisher(given.port) for _ in range(given.window)]
        self._poll = select.epoll()
        self._hear: dict[int, Callable[[], None]] = {}
        both: list[Listener | Publisher] = [*self.listeners, *self.publishers]
        for one in both:
            self._hear[one.fileno()] = one.hear
            self._poll.register(one.fileno(), select.EPOLLIN)

    def _listener(self, query: str) -> Listener:
        if self.plan.rate is not None:
            return Timing(self.plan.port, query, began_ns=self._began_ns)
        share = len(plan.wanted(query, self._about)) / len(self.plan.about)
        return Counting(self.plan.port, query, stride=round(1 / share))

    def measure(self) -> Heard:
        """Publishes for the plan's time, and waits until everybody has heard it all."""
        begun, cpu = time.perf_counter(), time.process_time()
        heard = Heard()
        if self.plan.phases:
            self._alternate(heard)
        else:
            self._publish_for(self.plan.seconds)
            heard.median_ms, heard.p99_ms = _centiles(self._delays())
        heard.seconds = time.perf_counter() - begun
        heard.frames = sum(one.frames for one in self.listeners)
        heard.client_cpu_seconds = time.process_time() - cpu
        self._listen_until(self._is_answered)
        self._hold_to_account(heard)
        return heard

    def _alternate(self, heard: Heard) -> None:
        """The delays without listeners in trouble, and beside them, in turn."""
        seconds = self.plan.seconds / (2 * self.plan.phases)
        alone, beside = [], []
        for _ in range(self.plan.phases):
            alone.append(self._phase(seconds))
            with trouble.listening(self.plan.port):
                self._fill()
                beside.append(self._phase(seconds))
        # What else the machine does disturbs some phases much, but not most of them.
        heard.median_ms, heard.p99_ms = _medians(alone)
        heard.beside_median_ms, heard.beside_p99_ms = _medians(beside)

    def _phase(self, seconds: float) -> Centiles:
        self._publish_for(SETTLE_SECONDS)
        self._delays()
        self._publish_for(seconds)
        return _centiles(self._delays())

    def _fill(self) -> None:
        """So much for those in trouble that nothing more is taken for them."""
        self._layouts.append([trouble.ENTITY] * trouble.EVENTS)
        filling = plan.template(
            replace(self.plan, batch=trouble.EVENTS), self._layouts[-1]
        )
        self._listen_until(lambda: self.publishers[0].is_free)
        self.publishers[0].send(
            len(self._layouts) - 1, plan.filled(filling, FIRST_READING)
        )
        self._listen_until(lambda: self.publishers[0].is_free)

    def _delays(self) -> list[float]:
        """Those since it was last asked."""
        found: list[float] = []
        for one in self.listeners:
            if isinstance(one, Timing):
                found += one.delays
                one.delays = []
        return found

    def _publish_for(self, seconds: float) -> None:
        publish = self._by_window if self.plan.rate is None else self._by_rate
        self._due = now = time.perf_counter()
        until = now + seconds
        while (now := time.perf_counter()) < until:
            self._listen(publish(now))

    def _listen(self, seconds: float) -> None:
        for number, _ in self._poll.poll(seconds):
            self._hear[number]()

    def _listen_until(self, is_over: Callable[[], bool]) -> None:
        until = time.perf_counter() + DRAIN_SECONDS
        while not is_over() and time.perf_counter() < until:
            self._listen(POLL_SECONDS)

    def _is_answered(self) -> bool:
        return all(one.is_free for one in self.publishers)

    def _send(self, publisher: Publisher) -> None:
        layout, request = next(self._requests)
        reading = time.monotonic_ns() - self._began_ns
        publisher.send(layout, plan.filled(request, reading))
        self._sent += 1

    def _by_window(self, _: float) -> float:
        """As many requests as the slowest listener allows; how long to wait then."""
        free = [one for one in self.publishers if one.is_free]
        if free:
            # Every request of such a plan tells each listener as much as every other.
            each = self.plan.batch / max(one.stride for one in self.listeners)
            heard = min(one.frames for one in self.listeners) / each
            for publisher in free[: int(heard) + self.plan.window - self._sent]:
                self._send(publisher)
        return POLL_SECONDS

    def _by_rate(self, now: float) -> float:
        """A request if it is time; how long until the next one."""
        free = next((one for one in self.publishers if one.is_free), None)
        if now >= self._due and free is not None:
            self._send(free)
            self._due += 1 / (self.plan.rate or 1)
        return max(0.0, min(POLL_SECONDS, self._due - time.perf_counter()))

    def _hold_to_account(self, heard: Heard) -> None:
        counts, newest = self._stored(heard)
        expected: list[tuple[Listener, int, int]] = []
        for listener, query in zip(self.listeners, self.plan.queries, strict=True):
            told = plan.wanted(query, newest)
            frames = sum(counts[one] for one in told)
            last = max((newest[one] for one in told), default=0)
            expected.append((listener, frames, last))
        self._listen_until(
            lambda: all(one.frames >= frames for one, frames, _ in expected)
        )
        heard.faults = [
            f"{one.frames} frames to {one.last_seq} came, not {frames} to {last}"
            for one, frames, last in expected
            if (one.frames, one.last_seq) != (frames, last)
        ][:5]
        answered = itertools.chain.from_iterable(one.delays for one in self.publishers)
        _, heard.answered_p99_ms = _centiles(answered)

    def _stored(self, heard: Heard) -> tuple[Counter[str], dict[str, int]]:
        """How many events there were about each entity, and the seq of the newest."""
        counts: Counter[str] = Counter()
        newest: dict[str, int] = {}
        places: set[int] = set()
        for layout, body in (one for each in self.publishers for one in each.answers):
            ids = self._layouts[layout]
            found = plan.seqs(body, events=len(ids))
            places.update(found)
            counts.update(ids)
            for entity_id, seq in zip(ids, found, strict=True):
                newest[entity_id] = max(seq, newest.get(entity_id, 0))
        heard.events = counts.total()
        heard.first_seq, heard.last_seq = min(places), max(places)
        if len(places) != heard.events:
            raise Fault("a seq was given twice")
        return counts, newest


def _centiles(delays: Iterable[float]) -> Centiles:
    found = sorted(delays) or [0.0]
    return found[len(found) // 2], found[int(len(found) * 0.99)]


def _medians(phases: list[Centiles]) -> Centiles:
    medians, p99s = zip(*phases, strict=True)
    return statistics.median(medians), statistics.median(p99s)


def main() -> None:
    given: dict[str, Any] = json.loads(sys.argv[1])
    processes.die_with_parent(int(given.pop("parent")))
    listeners.allow_many()
    heard = Heard()
    try:
        run = Run(Plan(**given))
        gc.freeze()
        gc.disable()
        heard = run.measure()
    except (Fault, OSError, ValueError) as error:
        heard.faults = [str(error)]
    sys.stdout.write(json.dumps(asdict(heard)))
    sys.stdout.flush()
    os._exit(0)  # the system closes its thousand connections


if __name__ == "__main__":
    main()
