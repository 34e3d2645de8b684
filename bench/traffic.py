"""What the load consists of: requests as bytes, and what their answers must say. Pure.

Every event has a number; its entity and its text follow from that number alone, so what
the server stored can be compared with what was sent without keeping either.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

BATCH_EVENTS = 1_000
HISTORY_EVENTS = 100
# Coprime to the numbers of entities used here: neighbours in the log are strangers in
# the table, and as many events in a row as there are entities touch each one once.
_STRIDE = 7_919

Kind = Literal["bare", "publish", "batch", "get", "history"]

_ENTITY_ID = "%s/aircraft-%07d"
_PAYLOAD = (
    b'{"entity_id":"%b/aircraft-%07d","properties":{"callsign":"FLX%07d",'
    b'"latitude":59.334591,"longitude":18.06324,"altitude_ft":11277,'
    b'"ground_speed_kt":251.4,"track_deg":182,"vertical_rate_fpm":-1088,'
    b'"on_ground":false,"squawk":"2261","origin":"ARN","destination":"JFK",'
    b'"aircraft_type":"A21N","reading":%d}}'
)
_EVENT = b'{"stream":"bench.positions","source":"flux-bench","payload":%b}' % _PAYLOAD
# Readings keep their width, so that every body of a kind has the same length.
_FIRST_READING = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One run of the load generator.

    first: the number of its first event; entities: over how many they are spread, in
    the namespace `fleet`; token: that namespace's, in auth mode. It ends after
    `seconds`, or after `most` requests.
    """

    kind: Kind
    port: int
    connections: int
    seconds: float
    first: int = 0
    entities: int = 1_000
    fleet: str = "bench"
    most: int | None = None
    token: str | None = None

    @property
    def events_per_request(self) -> int:
        return {"publish": 1, "batch": BATCH_EVENTS}.get(self.kind, 0)


def entity_of(number: int, entities: int) -> int:
    return number * _STRIDE % entities


def entity_id(fleet: str, entity: int) -> str:
    return _ENTITY_ID % (fleet, entity)


def payload(order: Order, number: int) -> bytes:
    """The exact text of the payload of the event with this number."""
    return _PAYLOAD % _slots(order.fleet.encode(), number, order.entities)


def properties_bytes() -> int:
    """How long the properties' text of one event is."""
    order = Order(kind="publish", port=0, connections=0, seconds=0)
    text = json.loads(payload(order, 0))["properties"]
    return len(json.dumps(text, separators=(",", ":")))


def requests(order: Order) -> Iterator[bytes]:
    """The requests of an order without end, each complete with its headers."""
    if order.kind == "bare":
        return _repeat(_head(order, "GET", "/"))
    if order.kind == "publish":
        return _publishing(order)
    if order.kind == "batch":
        return _batches(order)
    return _reads(order)


def _slots(fleet: bytes, number: int, entities: int) -> tuple[bytes, int, int, int]:
    entity = entity_of(number, entities)
    return fleet, entity, entity, _FIRST_READING + number


def _head(order: Order, method: str, path: str, *, length: int | None = None) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        f"host: 127.0.0.1:{order.port}",
        "user-agent: flux-bench",
        "accept: */*",
    ]
    if order.token is not None:
        lines.append(f"authorization: Bearer {order.token}")
    if length is not None:
        lines += ["content-type: application/json", f"content-length: {length}"]
    return "\r\n".join([*lines, "", ""]).encode()


def _repeat(request: bytes) -> Iterator[bytes]:
    while True:
        yield request


def _publishing(order: Order) -> Iterator[bytes]:
    fleet, entities = order.fleet.encode(), order.entities
    length = len(_EVENT % _slots(fleet, order.first, entities))
    template = _head(order, "POST", "/api/events", length=length) + _EVENT
    number = order.first
    while True:
        yield template % _slots(fleet, number, entities)
        number += 1


def _batches(order: Order) -> Iterator[bytes]:
    fleet, entities = order.fleet.encode(), order.entities
    events = b'{"events":[%b]}' % b",".join([_EVENT] * BATCH_EVENTS)
    number = order.first
    while True:
        slots: list[bytes | int] = []
        for each in range(number, number + BATCH_EVENTS):
            slots += _slots(fleet, each, entities)
        body = events % tuple(slots)
        yield _head(order, "POST", "/api/events/batch", length=len(body)) + body
        number += BATCH_EVENTS


def _reads(order: Order) -> Iterator[bytes]:
    number = order.first
    while True:
        yield _head(order, "GET", read_path(order, entity_of(number, order.entities)))
        number += 1


def read_path(order: Order, entity: int) -> str:
    """Where an order of the kind `get` or `history` reads an entity."""
    name = entity_id(order.fleet, entity)
    if order.kind == "get":
        return f"/api/state/entities/{name}"
    return f"/api/events?entity={name}&limit={HISTORY_EVENTS}"


def places(order: Order, index: int, body: bytes) -> list[tuple[int, int]]:
    """(number, seq) of the events that an answer acknowledges, request by `index`.

    Raises ValueError when the answer is not what such a request must get.
    """
    said = json.loads(body)
    first = order.first + index * order.events_per_request
    if order.kind == "publish":
        return [(first, _seq(said))]
    results = said["results"]
    if said["failed"] or len(results) != BATCH_EVENTS:
        message = f"a batch failed: {body[:300]!r}"
        raise ValueError(message)
    seqs = [_seq(result) for result in results]
    if seqs != list(range(seqs[0], seqs[0] + BATCH_EVENTS)):
        message = f"a batch is not consecutive: {seqs[:10]} …"
        raise ValueError(message)
    return list(enumerate_from(first, seqs))


def enumerate_from(first: int, seqs: list[int]) -> Iterator[tuple[int, int]]:
    return ((first + offset, seq) for offset, seq in enumerate(seqs))


def _seq(said: dict[str, Any]) -> int:
    seq = said["seq"]
    if not isinstance(seq, int) or "duplicate" in said:
        message = f"not the answer to a new event: {said}"
        raise ValueError(message)
    return seq
