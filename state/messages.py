"""What a client says on its socket → a value, or the error that says why not. Pure.

Invariant: the text of a published event is what the client sent, to the byte: it may be
wrong in ways that refuse that event alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from events import exact
from flux_project.errors import FluxError, Invalid
from state.interest import EVERYTHING, Interest, InvalidSubscription, Kind
from state.interest import interest as interest_of

MAX_SEQ = (1 << 63) - 1

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_value = msgspec.json.Decoder()


class InvalidMessage(Invalid):
    """A message is an object with a type: subscribe, unsubscribe or publish."""

    code = "invalid_message"


@dataclass(frozen=True, slots=True)
class Subscribe:
    """since: what lies behind that seq comes first; snapshot: the state does.

    ref: JSON text that an error repeats.
    """

    interest: Interest
    since: int | None = None
    snapshot: bool = False
    ref: bytes | None = None


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    interest: Interest
    ref: bytes | None = None


@dataclass(frozen=True, slots=True)
class Publish:
    """ref: JSON text that the answer repeats; batch: the JSON text of a batch, which is
    made of one event if `is_single`; token: the one that the message has; fault: what
    is wrong with it, once it is known who says it."""

    ref: bytes
    batch: bytes
    is_single: bool
    token: str | None = None
    fault: FluxError | None = None


Message = Subscribe | Unsubscribe | Publish


class Refused(Exception):
    """A message is no good. ref: what to call it in the answer, as JSON text; interest:
    what it is about, where that was understood."""

    def __init__(
        self,
        error: FluxError,
        ref: bytes | None = None,
        interest: Interest | None = None,
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.ref = ref
        self.interest = interest


def parse(text: bytes) -> Message:
    """One message. Raises Refused."""
    try:
        members = _split(text)
    except FluxError as error:
        raise Refused(error) from None
    ref = members.get("ref")
    try:
        return _message(members)
    except FluxError as error:
        raise Refused(error, ref) from None


def _message(members: Mapping[str, bytes]) -> Message:
    """Raises Refused, or what is wrong before it is known what it is about."""
    kind, ref = _decoded(members, "type"), members.get("ref")
    if kind == "publish":
        return _publish(members, ref or b"null")
    if kind == "subscribe":
        interest = _interest(members)
        try:
            return _subscribe(
                interest,
                _decoded(members, "since"),
                _decoded(members, "snapshot"),
                ref=ref,
            )
        except FluxError as error:
            raise Refused(error, ref, interest) from None
    if kind == "unsubscribe":
        return Unsubscribe(_interest(members), ref)
    raise InvalidMessage(field="type")


def _interest(members: Mapping[str, bytes]) -> Interest:
    found = interest_of({kind.value: _decoded(members, kind.value) for kind in Kind})
    if found is None:
        raise InvalidSubscription
    return found


def _publish(members: Mapping[str, bytes], ref: bytes) -> Publish:
    fault, batch = None, b""
    try:
        batch = _batch(members)
    except FluxError as error:
        fault = error
    is_single = "event" in members
    return Publish(ref, batch, is_single, token=_token(members), fault=fault)


def _token(members: Mapping[str, bytes]) -> str | None:
    """What is no text is no token: it is refused, but only where one is needed (§0)."""
    try:
        token = _decoded(members, "token")
    except InvalidMessage:
        return ""
    return None if token is None else token if isinstance(token, str) else ""


def _batch(members: Mapping[str, bytes]) -> bytes:
    single, batch = members.get("event"), members.get("events")
    if (single is None) == (batch is None):
        message = "publish takes exactly one of event and events."
        raise InvalidMessage(message, field="event")
    if single is not None:
        return b"[%b]" % single
    if batch is None or not batch.startswith(b"["):
        raise InvalidMessage("events must be a list of events.", field="events")
    return batch


def _subscribe(
    interest: Interest, since: object, snapshot: object, *, ref: bytes | None = None
) -> Subscribe:
    if snapshot is not None and not isinstance(snapshot, bool):
        raise InvalidSubscription("snapshot must be true or false.", field="snapshot")
    if since is not None and snapshot:
        message = "since and snapshot exclude each other: the state holds the past."
        raise InvalidSubscription(message, field="since")
    if since is not None:
        is_whole = isinstance(since, int) and not isinstance(since, bool)
        if not is_whole or not 0 <= since <= MAX_SEQ:  # type: ignore[operator]  # by is_whole
            message = "since must be a seq: a whole number from 0."
            raise InvalidSubscription(message, field="since")
    return Subscribe(interest, since, bool(snapshot), ref)  # type: ignore[arg-type]  # by is_whole


def query(given: Mapping[str, str]) -> Subscribe | None:
    """The subscription of a handshake, or of Server-Sent Events; None without one.

    Raises InvalidSubscription or InvalidEntityId.
    """
    interest = interest_of(given)
    since, snapshot = given.get("since"), given.get("snapshot")
    if interest is None and since is None and snapshot is None:
        return None
    wanted = None if since is None else _whole(since)
    if snapshot not in {None, "0", "1", "true", "false"}:
        raise InvalidSubscription("snapshot must be 1 or 0.", field="snapshot")
    return _subscribe(interest or EVERYTHING, wanted, snapshot in {"1", "true"})


def _whole(text: str) -> object:
    is_whole = text.isascii() and text.isdecimal() and len(text) <= 20
    return int(text) if is_whole else text


def _decoded(members: Mapping[str, bytes], name: str) -> object:
    """A member that means something; what others say does not matter."""
    text = members.get(name)
    if text is None:
        return None
    try:
        return _value.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise InvalidMessage(f"{name} cannot be read.", field=name) from None


def _split(text: bytes) -> dict[str, bytes]:
    """The members of a message, each as its JSON text; the last of a name counts."""
    exact.utf8(text)
    try:
        found = _members.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return _walk(text)
    return {name: bytes(value) for name, value in found.items()}


def _walk(text: bytes) -> dict[str, bytes]:
    """The same where msgspec gives up: a lone surrogate, or deep nesting."""
    members: dict[str, bytes] = {}
    key = b""
    is_object = text.lstrip(b" \t\n\r")[:1] == b"{"
    for start, end, depth in exact.elements(text):
        if depth != 1 or not is_object:
            continue
        if not key:
            key = text[start:end]
            continue
        members[_name(key)] = text[start:end]
        key = b""
    if not is_object:
        raise InvalidMessage
    return members


def _name(key: bytes) -> str:
    try:
        return str(_value.decode(key))
    except msgspec.DecodeError:
        return ""  # a lone surrogate: no name that means anything here
