"""JSON → Event, or the error that says what is wrong with it (contract §1).

Invariant: an Event is fit to be stored as it is; nothing behind this module asks again.
The usual event is checked by msgspec's typed decoder alone; `explain` looks at one that
it refuses a second time, to say which field is wrong and what was expected.
"""

import hashlib
import re
import time
from functools import lru_cache
from typing import NoReturn

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from uuid_utils import uuid7

from events import batch, exact, explain
from events.batch import Faults
from events.explain import InvalidEvent
from flux_project.errors import FluxError, TooLarge
from namespaces import names

MAX_STREAM_CHARACTERS = 200
MAX_SOURCE_CHARACTERS = 512
MAX_EVENT_ID_CHARACTERS = 200
MAX_TIMESTAMP_MS = explain.MAX_TIMESTAMP_MS
MAX_PROPERTIES_PER_EVENT = 5_000
TOMBSTONE = "__deleted__"

_STREAM = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")


class EventTooLarge(TooLarge):
    """An event sets and unsets at most 5,000 properties."""

    code = "event_too_large"


class Event(Struct, frozen=True, gc=False):
    """What a producer said, checked; not yet part of history.

    payload: its exact JSON text; properties: the same of its properties.
    size: the bytes these take at most in PostgreSQL's text form.
    digest: SHA-256 of (namespace, eventId) when the producer gave an id, else None.
    """

    event_id: str
    digest: bytes | None
    stream: str
    source: str
    key: str | None
    schema: str | None
    namespace: str
    entity_id: str
    occurred_at: int
    payload: bytes
    properties: bytes
    size: int
    unset: tuple[str, ...] = ()
    is_tombstone: bool = False


class _Envelope(Struct, gc=False):
    stream: str
    source: str
    payload: Raw
    timestamp: int | UnsetType = UNSET
    eventId: str | None = None  # noqa: N815  the wire's name
    key: str | None = None
    schema: str | None = None


class _Payload(Struct, gc=False):
    entity_id: str
    properties: Raw
    unset: list[str] | UnsetType = UNSET


_envelope = msgspec.json.Decoder(_Envelope)
_payload = msgspec.json.Decoder(_Payload)
_properties = msgspec.json.Decoder(dict[str, Raw])
_anything = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode


class _Batch(Struct, gc=False):
    events: list[_Envelope]


_batch = msgspec.json.Decoder(_Batch)
_list = msgspec.json.Decoder(list[_Envelope])


def effect_of(payload: bytes) -> tuple[bytes, tuple[str, ...], bool]:
    """What a stored payload does: (properties, unset, whether it is a tombstone)."""
    decoded = _payload.decode(payload)
    properties, unset = bytes(decoded.properties), decoded.unset or ()
    is_tombstone = _is_tombstone(properties, len(unset))
    return properties, tuple(dict.fromkeys(unset)), is_tombstone


def properties_of(text: bytes) -> dict[str, Raw]:
    """The properties' JSON text as a dict of raw JSON values; the last key wins."""
    return _properties.decode(text)


def parse(body: bytes) -> Event:
    """One event from a request's body. Raises Invalid or TooLarge."""
    exact.utf8(body)
    return _parse(body)


def parse_batch(body: bytes, *, most: int) -> list[Event | FluxError]:
    """A batch's events in input order, a bad one as the error it alone gets.

    Raises Invalid when the body as a whole is not JSON, or holds no list of events;
    TooManyItems beyond `most`.
    """
    exact.utf8(body)
    faults = Faults()
    try:
        exponents = exact.glance(body)
        envelopes = _plain_envelopes(body, exponents, most)
        return [_item_of(one, exponents, faults) for one in envelopes]
    except (msgspec.DecodeError, RecursionError):
        return [_item(text, faults) for text in batch.texts(body, most=most)]


def _parse(text: bytes) -> Event:
    try:
        envelope = _envelope.decode(text)
        return _event(envelope, exact.check(text))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise explain.fault(text) from None


def _plain_envelopes(body: bytes, exponents: int, most: int) -> list[_Envelope]:
    """A batch's envelopes, decoded in one go.

    msgspec.DecodeError for a body in which anything needs a closer look; then each
    event's text is taken by itself.
    """
    # Where no escape spells a key, each event has this one: they are no more than that.
    if exponents < 0 or body.count(b'"payload"') > most:
        raise msgspec.DecodeError
    is_bare = batch.is_bare(body)
    envelopes = _list.decode(body) if is_bare else _batch.decode(body).events
    outside = exact.openings(body) - (1 if is_bare else 2) - len(envelopes)
    for envelope in envelopes:
        inside = exact.openings(bytes(envelope.payload))
        outside -= inside
        if inside >= exact.MAX_DEPTH:
            raise msgspec.DecodeError
    # What opens outside of the payloads lies in unknown fields, whose depth counts too.
    if outside or not envelopes:
        raise msgspec.DecodeError
    return envelopes


def _item_of(envelope: _Envelope, exponents: int, faults: Faults) -> Event | FluxError:
    try:
        return _event(envelope, exponents)
    except FluxError as error:
        return faults.bare(error)


def _item(text: bytes, faults: Faults) -> Event | FluxError:
    try:
        return _parse(text)
    except FluxError as error:
        return faults.bare(error)


def _event(envelope: _Envelope, exponents: int) -> Event:
    """The event in a text that `exact` found sound; msgspec's errors pass through.

    exponents: how many the text may hold.
    """
    payload_text = bytes(envelope.payload)
    payload = _payload.decode(payload_text)
    properties = bytes(payload.properties)
    if properties[:1] != b"{":
        _refuse("payload.properties", "must be an object.")
    _check_lengths(envelope)
    entity_id = payload.entity_id
    namespace = _namespace(entity_id)
    unset = payload.unset or ()
    client_id = envelope.eventId
    return Event(
        event_id=client_id or str(uuid7()),
        digest=digest_of(namespace, client_id) if client_id else None,
        stream=envelope.stream,
        source=envelope.source,
        key=envelope.key,
        schema=envelope.schema,
        namespace=namespace,
        entity_id=entity_id,
        occurred_at=now_ms() if envelope.timestamp is UNSET else envelope.timestamp,
        payload=payload_text,
        properties=properties,
        size=exact.most_bytes(properties) if exponents else 2 * len(properties),
        unset=tuple(dict.fromkeys(unset)) if unset else (),
        is_tombstone=_is_tombstone(properties, len(unset)),
    )


def _is_tombstone(properties: bytes, unset: int) -> bool:
    """Whether the event deletes its entity; counts its properties on the way.

    A property takes at least a colon and a comma or brace, so few colons are few
    properties; only a text that may hold the key is decoded.
    """
    few = (
        len(properties) + unset <= MAX_PROPERTIES_PER_EVENT
        or properties.count(b":") + unset <= MAX_PROPERTIES_PER_EVENT
    )
    if few and b"__deleted__" not in properties and b"\\" not in properties:
        return False
    decoded = _properties.decode(properties)
    if len(decoded) + unset > MAX_PROPERTIES_PER_EVENT:
        raise EventTooLarge(field="payload.properties")
    return bytes(decoded.get(TOMBSTONE, b"")) == b"true"


def _check_lengths(envelope: _Envelope) -> None:
    stream, source, event_id = envelope.stream, envelope.source, envelope.eventId
    if not _is_stream(stream):
        _refuse(
            "stream",
            "must be lower-case letters and digits, joined by single dots, dashes or "
            f"underscores, at most {MAX_STREAM_CHARACTERS} characters.",
        )
    if not 1 <= len(source) <= MAX_SOURCE_CHARACTERS:
        _refuse("source", f"must have 1 to {MAX_SOURCE_CHARACTERS} characters.")
    if event_id and len(event_id) > MAX_EVENT_ID_CHARACTERS:
        _refuse("eventId", f"must have at most {MAX_EVENT_ID_CHARACTERS} characters.")
    timestamp = envelope.timestamp
    if timestamp is not UNSET and not 1 <= timestamp <= MAX_TIMESTAMP_MS:
        _refuse("timestamp", explain.TIMESTAMP)


@lru_cache(maxsize=1_024)
def _is_stream(stream: str) -> bool:
    return len(stream) <= MAX_STREAM_CHARACTERS and bool(_STREAM.fullmatch(stream))


@lru_cache(maxsize=8_192)
def _namespace(entity_id: str) -> str:
    """The namespace of an id that passed the rules; a cached one passed them before."""
    return names.namespace_of(names.entity_id(entity_id, field="payload.entity_id"))


def _refuse(field: str, expectation: str) -> NoReturn:
    raise InvalidEvent(f"{field} {expectation}", field=field)


def digest_of(namespace: str, event_id: str) -> bytes:
    """What a client-given id is known by: unique per namespace (32 bytes)."""
    return hashlib.sha256(f"{namespace}\0{event_id}".encode()).digest()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def tombstone(entity_id: str) -> Event:
    """The event that a DELETE request appends (contract §4)."""
    properties = b'{"__deleted__":true}'
    return Event(
        event_id=str(uuid7()),
        digest=None,
        stream="flux.deletions",
        source="api",
        key=None,
        schema=None,
        namespace=names.namespace_of(entity_id),
        entity_id=entity_id,
        occurred_at=now_ms(),
        payload=b'{"entity_id":%b,"properties":%b}' % (_encode(entity_id), properties),
        properties=properties,
        size=0,
        is_tombstone=True,
    )
