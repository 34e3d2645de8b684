"""An event → the frames that listeners get (contract §5). Pure.

Each frame is encoded once, for everybody: as JSON text, and from that in the framing of
a WebSocket (RFC 6455 §5.2) and of Server-Sent Events. Invariant: the frames of one
event follow each other, and all but the last say `more`, so that who resumes from the
last complete `seq` misses nothing.
"""

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

import msgspec

from events import envelope
from flux_project.errors import FluxError

_encode = msgspec.json.Encoder().encode
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What a frame is about beside a property's name, which is a text.
TOUCHED, DELETED = None, False
Key = str | bool | None

_END = b"}"
_MORE = b',"more":true}'


class Effect(Protocol):
    """What an event does, as `envelope.Event` and the rows of the log have it."""

    @property
    def entity_id(self) -> str: ...

    @property
    def namespace(self) -> str: ...

    @property
    def source(self) -> str: ...

    @property
    def properties(self) -> bytes: ...

    @property
    def unset(self) -> tuple[str, ...]: ...

    @property
    def is_tombstone(self) -> bool: ...


class Told:
    """An event at its place in the log, as listeners are told of it.

    recorded_at: microseconds since 1970.
    """

    __slots__ = ("_count", "_sse", "_websocket", "effect", "recorded_at", "seq")

    def __init__(self, effect: Effect, *, seq: int, recorded_at: int) -> None:
        self.effect = effect
        self.seq = seq
        self.recorded_at = recorded_at
        self._websocket: bytes | None = None
        self._sse: bytes | None = None
        self._count = 0

    @property
    def count(self) -> int:
        """How many frames it has."""
        return self._count or len(self.texts)

    @property
    def size(self) -> int:
        """About the bytes of its frames, without making them: each property's has the
        id and some 150 bytes beside name and value."""
        effect = self.effect
        # Each property has a colon, and values may have more: rather too much.
        frames = 1 + effect.properties.count(b":") + len(effect.unset)
        return len(effect.properties) + frames * (150 + 2 * len(effect.entity_id))

    def forget_frames(self) -> None:
        """Frees what was kept for those who share it; it can be made again."""
        self._websocket = self._sse = None

    def parts(self) -> list[tuple[Key, bytes]]:
        """What each frame is about, and its text up to where `more` may follow."""
        effect = self.effect
        who = b'"entity_id":%b' % _encode(effect.entity_id)
        when = b'"timestamp":"%b","seq":%d' % (rfc3339(self.recorded_at), self.seq)
        if effect.is_tombstone:
            return [(DELETED, b'{"type":"entity_deleted",%b,%b' % (who, when))]
        update = b'{"type":"state_update",%b,"property":' % who
        removed = b',"value":null,"removed":true,' + when
        found: list[tuple[Key, bytes]] = [
            (key, update + _encode(key) + removed) for key in effect.unset
        ]
        when = b"," + when
        found += [
            (key, b'%b%b,"value":%b%b' % (update, _encode(key), bytes(value), when))
            for key, value in envelope.properties_of(effect.properties).items()
        ]
        return found or [(TOUCHED, b'{"type":"entity_touched",%b%b' % (who, when))]

    @property
    def texts(self) -> list[bytes]:
        """Its frames as JSON texts."""
        texts = closed([text for _, text in self.parts()])
        self._count = len(texts)
        return texts

    @property
    def websocket(self) -> bytes:
        """All its frames in a WebSocket's framing."""
        if self._websocket is None:
            self._websocket = b"".join(map(websocket, self.texts))
        return self._websocket

    @property
    def sse(self) -> bytes:
        """All its frames as Server-Sent Events; the last one bears the id."""
        if self._sse is None:
            *first, last = self.texts
            self._sse = b"".join(map(sse, first)) + sse(last, seq=self.seq)
        return self._sse


def closed(parts: Sequence[bytes]) -> list[bytes]:
    """The parts of one event as complete texts: all but the last say `more`."""
    return [part + _MORE for part in parts[:-1]] + [parts[-1] + _END]


class Standing(msgspec.Struct, frozen=True, gc=False):
    """An entity as it is now, as if one event had made it so."""

    entity_id: str
    properties: bytes
    namespace: str = ""
    source: str = ""
    unset: tuple[str, ...] = ()
    is_tombstone: bool = False


def message(type_: str, **fields: object) -> bytes:
    """A frame that is about the connection, not about an event."""
    return _encode({"type": type_, **fields})


def refusal(error: FluxError, **fields: object) -> bytes:
    """The frame that says what was wrong with a message (codes as in contract §0)."""
    more = {} if error.field is None else {"field": error.field}
    return message("error", error=error.message, code=error.code, **more, **fields)


def websocket(text: bytes) -> bytes:
    """One unmasked, unfragmented text frame."""
    return _websocket_head(len(text)) + text


def _websocket_head(size: int) -> bytes:
    if size < 126:
        return bytes((0x81, size))
    if size < 1 << 16:
        return b"\x81\x7e" + struct.pack(">H", size)
    return b"\x81\x7f" + struct.pack(">Q", size)


def sse(text: bytes, *, seq: int | None = None) -> bytes:
    """One Server-Sent Event. A line break can only stand between JSON's tokens."""
    if b"\n" in text or b"\r" in text:
        text = text.replace(b"\r", b" ").replace(b"\n", b" ")
    if seq is None:
        return b"data: %b\n\n" % text
    return b"id: %d\ndata: %b\n\n" % (seq, text)


@lru_cache(maxsize=1_024)
def rfc3339(micros: int) -> bytes:
    """A time as the wire writes it, to the microsecond."""
    moment = _EPOCH + timedelta(microseconds=micros)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
