"""A batch's body → the text of each of its items, and what bounds their errors. Pure.

Invariant: a batch takes no more memory than events of its size would. Items are counted
before they are held, and errors that say the same are one object.
"""

import re
from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from events import exact
from events.explain import InvalidEvent
from flux_project.errors import FluxError, TooLarge

SMALLEST_EVENT = (
    b'{"stream":"a","source":"b","payload":{"entity_id":"c","properties":{}}}'
)
MOST_DISTINCT_FAULTS = 1_000

_EMPTY = "The batch is empty: events must hold at least one event."
_NO_LIST = "The body must be a list of events, or an object with the list events."

_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_FLAT = rb'[\[{](?:[^"\[\]{}]++|' + _STRING + rb")*+[\]}]"
# The commas and brackets of a valid text, but for those in strings and in containers
# that hold no others.
_MARK = re.compile(
    rb'(?:[^"\[\]{},]++|' + _STRING + rb"|" + _FLAT + rb")*+([\[\]{},])", re.DOTALL
)


class TooManyItems(TooLarge):
    """A batch has more items than events can stand in a body of the largest size."""

    def __init__(self, most: int) -> None:
        message = (
            f"The batch has more than {most} items: so many events have no room in the"
            " largest body that this server takes."
        )
        super().__init__(message)


class _Enclosing(Struct, gc=False):
    events: Raw


_enclosing = msgspec.json.Decoder(_Enclosing)
_list = msgspec.json.Decoder(list[Raw])


def most_items(limit: int) -> int:
    """How many events a body of so many bytes can hold."""
    return limit // len(SMALLEST_EVENT)


def is_bare(body: bytes) -> bool:
    """Whether a batch is the list itself, not an object around it."""
    return body.lstrip(b" \t\n\r")[:1] == b"["


def texts(body: bytes, *, most: int) -> Iterator[bytes]:
    """The items of a batch that is valid UTF-8.

    Raises InvalidJson, InvalidEvent for what has no list or an empty one, TooManyItems.
    """
    try:
        listed = body if is_bare(body) else bytes(_enclosing.decode(body).events)
        _count(listed, most)
        items = _list.decode(listed)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        places = _walk(body, most)
        return (body[start:end] for start, end in places)
    if not items:
        raise InvalidEvent(_EMPTY, field="events")
    return map(bytes, items)


def _count(listed: bytes, most: int) -> None:
    """Refuses a list of more items than `most`, without making any of them."""
    if listed.count(b",") < most:
        return
    items = depth = 0
    for mark in _MARK.finditer(listed, listed.index(b"[") + 1):
        if mark[1] == b",":
            items += not depth
            if items >= most:
                raise TooManyItems(most)
        elif mark[1] in b"[{":
            depth += 1
        else:
            depth -= 1


def _walk(body: bytes, most: int) -> list[tuple[int, int]]:
    """Where the items lie, also where msgspec gives up on the whole."""
    found = _walk_list(body, most) if is_bare(body) else _walk_object(body, most)
    if not found:
        raise InvalidEvent(_NO_LIST if found is None else _EMPTY, field="events")
    return found


def _walk_list(body: bytes, most: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, end, depth in exact.elements(body):
        if depth == 1:
            _add(found, (start, end), most)
    return found


def _walk_object(body: bytes, most: int) -> list[tuple[int, int]] | None:
    found: list[tuple[int, int]] | None = None
    inner: list[tuple[int, int]] = []
    key = b""
    for start, end, depth in exact.elements(body):
        if depth == 2 and key == b'"events"':
            _add(inner, (start, end), most)
        elif depth == 1:
            if key == b'"events"':
                found = inner if body[start : start + 1] == b"[" else None
            key, inner = (b"" if key else body[start:end]), []
    return found


def _add(items: list[tuple[int, int]], place: tuple[int, int], most: int) -> None:
    if len(items) == most:
        raise TooManyItems(most)
    items.append(place)


class Faults:
    """The errors of one batch's items."""

    def __init__(self) -> None:
        self._known: dict[tuple[type[FluxError], str, str | None], FluxError] = {}

    def bare(self, error: FluxError) -> FluxError:
        """The error that says the same, without how it came about: a traceback would
        keep all that was at hand there."""
        said = type(error), error.message, error.field
        known = self._known.get(said)
        if known is not None:
            return known
        error.__traceback__ = error.__context__ = error.__cause__ = None
        if len(self._known) < MOST_DISTINCT_FAULTS:
            self._known[said] = error
        return error
