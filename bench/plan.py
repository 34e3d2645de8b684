"""A run of listeners and publishers: what it does and what it brings. Pure.

Every request of a plan has one length, whatever its readings are; who is told of what
follows from the plan alone, so what a listener heard can be held against what was sent.
"""

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

HOST = "127.0.0.1"
STREAM = "bench.live"
# A reading is a time, in nanoseconds since the run began; it keeps its width.
FIRST_READING = 10**15
_READING = b"@"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done.

    groups: how many listeners, and their query; `%d` in it is each one's own number.
    about: the entities of the events, in turn. batch: events in a request. window: how
    many requests may be ahead of the slowest listener. With a rate, requests a second
    are sent whoever has heard them, at most `window` without an answer, and how old
    each event is when it is read is measured. phases: how often that is done beside
    three listeners in trouble, and as often without them, within the seconds.
    """

    port: int
    groups: list[tuple[int, str]]
    about: list[str]
    batch: int
    window: int
    seconds: float
    rate: float | None = None
    phases: int = 0

    @property
    def queries(self) -> list[str]:
        """One for each listener."""
        return [
            query % number if "%d" in query else query
            for count, query in self.groups
            for number in range(count)
        ]

    @property
    def layouts(self) -> list[list[str]]:
        """The entities of each request, in turn."""
        size = max(self.batch, len(self.about))
        ids = list(itertools.islice(itertools.cycle(self.about), size))
        return [ids[at : at + self.batch] for at in range(0, size, self.batch)]


@dataclass
class Heard:
    """What a run brought.

    frames: those that came within `seconds`; events: all that were acknowledged, at
    first_seq … last_seq. Delays are from sending an event to reading its frame;
    answered: to reading its acknowledgement; beside: beside listeners in trouble.
    """

    seconds: float = 0.0
    frames: int = 0
    events: int = 0
    first_seq: int = 0
    last_seq: int = 0
    client_cpu_seconds: float = 0.0
    median_ms: float = 0.0
    p99_ms: float = 0.0
    answered_p99_ms: float = 0.0
    beside_median_ms: float = 0.0
    beside_p99_ms: float = 0.0
    faults: list[str] = field(default_factory=list)


def template(plan: Plan, ids: Iterable[str]) -> bytes:
    """A request with an event about each of these, but for their readings."""
    events = [
        f'{{"stream":"{STREAM}","source":"flux-bench","payload":'
        f'{{"entity_id":"{entity_id}","properties":{{"reading":@}}}}}}'
        for entity_id in ids
    ]
    is_single = plan.batch == 1
    path = "/api/events" if is_single else "/api/events/batch"
    body = events[0] if is_single else f'{{"events":[{",".join(events)}]}}'
    length = len(body) + (len(str(FIRST_READING)) - 1) * len(events)
    return (
        f"POST {path} HTTP/1.1\r\nhost: {HOST}:{plan.port}\r\n"
        f"content-length: {length}\r\n\r\n{body}"
    ).encode()


def filled(request: bytes, reading: int) -> bytes:
    return request.replace(_READING, b"%d" % reading)


def seqs(body: bytes, *, events: int) -> list[int]:
    """The places of a request's events. Raises ValueError unless all are new."""
    said = json.loads(body)
    results = said.get("results", [said])
    found = [result.get("seq") for result in results if "duplicate" not in result]
    if len(found) != events or None in found:
        message = f"not all events were stored: {body[:300]!r}"
        raise ValueError(message)
    return found


def wanted(query: str, entities: Mapping[str, object]) -> list[str]:
    """Those entities that a listener with this query is told of."""
    ((kind, value),) = parse_qsl(query[1:])
    if kind == "prefix":
        return [one for one in entities if one.startswith(value)]
    if kind == "namespace":
        return [one for one in entities if one.partition("/")[0] == value]
    return [one for one in (entities if value == "*" else [value]) if one in entities]
