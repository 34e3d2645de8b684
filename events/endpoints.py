"""The endpoints that write events: body in, Reply or Write out (contract §1).

No I/O, no Django, no ASGI: the lane and the DRF views both call these. Invariant: a
function that returns a Write has checked everything that needs no database.
"""

from collections.abc import Sequence
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from events import batch, envelope, permits
from events.batch import Faults
from events.commands import Append, Outcome, Stored
from events.envelope import Event
from flux_project.errors import FluxError
from flux_project.reply import Reply, Write, encode, refusal
from namespaces import config, levels, names
from namespaces.grants import Grant

# What an event takes beside its text: 9 MB of the smallest ones take 75.
EVENT_BYTES = 500
# So many results are held at once, beside their text.
RESULTS_AT_ONCE = 2_000
_RESERVED = names.ReservedNamespace()


def publish(body: bytes, grant: Grant | None = None) -> Reply | Write:
    """`POST /api/events`: one event. Answers the refusal of a malformed one at once.

    grant: the token's it came with; None in open mode.
    """
    try:
        event = envelope.parse(body)
        refused = _refusal(event, grant)
    except FluxError as error:
        refused = error
    if refused is not None:
        return limited(refusal(refused), grant)
    render = _published if grant is None else partial(_published, grant=grant)
    return Write([Append(event, grant)], len(body), render)


def limited(reply: Reply, grant: Grant | None) -> Reply:
    """An answer to a write that says what its namespace may still write (§1)."""
    if grant is None:
        return reply
    return replace(reply, headers=(*reply.headers, *levels.headers(grant.namespace)))


def _refusal(event: Event, grant: Grant | None) -> FluxError | None:
    """Why an event may not be written by whom it came from; None: it may."""
    if grant is None:
        is_reserved = event.namespace == names.RESERVED_NAMESPACE
        return _RESERVED if is_reserved else None
    id_, starts = event.entity_id, grant.publishes
    if (
        starts is not None
        and id_.startswith(starts)
        and not event.is_tombstone
        and len(id_) > len(event.namespace) + 1  # `name/` alone has no rest
    ):
        return None  # the usual one
    try:
        names.require_namespace(id_, field="payload.entity_id")
    except FluxError as error:
        return error
    return permits.refusal(Append(event), grant)


def _published(outcomes: Sequence[Outcome], grant: Grant | None = None) -> Reply:
    outcome = outcomes[0]
    if isinstance(outcome, FluxError):
        return limited(refusal(outcome), grant)
    if not isinstance(outcome, Stored):
        message = f"no event has the outcome {outcome!r}"
        raise TypeError(message)
    kind = _PlacedDuplicate if outcome.is_duplicate else _Placed
    body = encode(kind(outcome.event_id, outcome.stream, outcome.seq))
    return Reply(200, body, () if grant is None else levels.headers(grant.namespace))


def publish_batch(body: bytes, grant: Grant | None = None) -> Reply | Write:
    """`POST /api/events/batch`: many events; a bad one fails alone."""
    try:
        items = read_batch(body, grant)
    except FluxError as error:
        return limited(refusal(error), grant)

    def render(outcomes: Sequence[Outcome]) -> Reply:
        return limited(_batch_reply(_placed(items, outcomes)), grant)

    commands = appends(items, grant)
    if not commands:
        return render(())
    return Write(commands, held_bytes(len(body), commands), render)


def held_bytes(text: int, commands: Sequence[Append]) -> int:
    """About what events hold in memory that came as a text of so many bytes."""
    return text + EVENT_BYTES * len(commands)


def read_batch(body: bytes, grant: Grant | None = None) -> list[Event | FluxError]:
    """The events of a batch, or the error that each gets.

    Raises Invalid or TooLarge for all of it.
    """
    most = batch.most_items(config.current().body_size_limit_batch_bytes)
    faults = Faults()
    return [
        _allowed(item, grant, faults) for item in envelope.parse_batch(body, most=most)
    ]


def appends(
    items: Sequence[Event | FluxError], grant: Grant | None = None
) -> list[Append]:
    """What the committer is asked for."""
    return [Append(item, grant) for item in items if isinstance(item, Event)]


def results(items: Sequence[Event | FluxError], outcomes: Sequence[Outcome]) -> bytes:
    """What became of each item, as the list in a batch's answer."""
    return _results(_placed(items, outcomes))


def _placed(
    items: Sequence[Event | FluxError], outcomes: Sequence[Outcome]
) -> list[Outcome]:
    stored = iter(outcomes)
    return [next(stored) if isinstance(item, Event) else item for item in items]


def _allowed(
    item: Event | FluxError, grant: Grant | None, faults: Faults
) -> Event | FluxError:
    if not isinstance(item, Event):
        return item
    refused = _refusal(item, grant)
    return item if refused is None else faults.bare(refused)


class _Placed(Struct, gc=False):
    """An event's answer in the wire's words."""

    eventId: str  # noqa: N815  the wire's name
    stream: str
    seq: int


class _PlacedDuplicate(_Placed, gc=False):
    duplicate: bool = True


class _Item(Struct, gc=False):
    """What became of one event of a batch: all keys are always there."""

    eventId: str | None  # noqa: N815  the wire's name
    stream: str | None
    seq: int | None
    error: str | None


class _DuplicateItem(_Item, gc=False):
    duplicate: bool = True


class _FailedItem(_Item, gc=False):
    code: str = ""


def _batch_reply(outcomes: Sequence[Outcome]) -> Reply:
    failed = sum([isinstance(outcome, FluxError) for outcome in outcomes])
    counts = len(outcomes) - failed, failed
    body = b'{"successful":%d,"failed":%d,"results":%b}' % (*counts, _results(outcomes))
    return Reply(200, body)


def _results(outcomes: Sequence[Outcome]) -> bytes:
    if len(outcomes) <= RESULTS_AT_ONCE:
        return encode([_item(outcome) for outcome in outcomes])
    text = bytearray(b"[")
    for start in range(0, len(outcomes), RESULTS_AT_ONCE):
        some = outcomes[start : start + RESULTS_AT_ONCE]
        text += encode([_item(outcome) for outcome in some])[1:-1] + b","
    text[-1:] = b"]"
    return bytes(text)


def _item(outcome: Outcome) -> _Item:
    if isinstance(outcome, Stored):
        kind = _DuplicateItem if outcome.is_duplicate else _Item
        return kind(outcome.event_id, outcome.stream, outcome.seq, None)
    if isinstance(outcome, FluxError):
        return _FailedItem(None, None, None, outcome.message, outcome.code)
    message = f"no event has the outcome {outcome!r}"
    raise TypeError(message)
