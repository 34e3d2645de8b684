"""The endpoints that write events: body in, Reply or Write out (contract §1).

No I/O, no Django, no ASGI: the lane and the DRF views both call these. Invariant: a
function that returns a Write has checked everything that needs no database.
"""

from collections.abc import Sequence

from events import envelope
from events.commands import Append, Outcome, Stored
from events.envelope import Event
from flux_project.errors import FluxError
from flux_project.reply import Reply, Write, encode, ok, refusal
from namespaces import names


def publish(body: bytes) -> Reply | Write:
    """`POST /api/events`: one event. Answers the refusal of a malformed one at once."""
    try:
        event = envelope.parse(body)
        names.refuse_reserved(event.namespace)
    except FluxError as error:
        return refusal(error)
    return Write([Append(event)], len(body), _published)


def _published(outcomes: Sequence[Outcome]) -> Reply:
    outcome = outcomes[0]
    if isinstance(outcome, FluxError):
        return refusal(outcome)
    return ok(_item(outcome, error=False))


def publish_batch(body: bytes) -> Reply | Write:
    """`POST /api/events/batch`: many events; a bad one fails alone."""
    try:
        items = [_allowed(item) for item in envelope.parse_batch(body)]
    except FluxError as error:
        return refusal(error)
    commands = [Append(item) for item in items if isinstance(item, Event)]

    def render(outcomes: Sequence[Outcome]) -> Reply:
        stored = iter(outcomes)
        return _batch_reply(
            [next(stored) if isinstance(item, Event) else item for item in items]
        )

    return Write(commands, len(body), render) if commands else render(())


def _allowed(item: Event | FluxError) -> Event | FluxError:
    if isinstance(item, Event) and item.namespace == names.RESERVED_NAMESPACE:
        return names.ReservedNamespace()
    return item


def _batch_reply(outcomes: Sequence[Outcome]) -> Reply:
    results = [_item(outcome, error=True) for outcome in outcomes]
    failed = sum(isinstance(outcome, FluxError) for outcome in outcomes)
    body = {
        "successful": len(results) - failed,
        "failed": failed,
        "results": results,
    }
    return Reply(200, encode(body))


def _item(outcome: Outcome, *, error: bool) -> dict[str, object]:
    """What became of one event, in the wire's words; `error` adds that key to all."""
    if isinstance(outcome, Stored):
        item: dict[str, object] = {
            "eventId": outcome.event_id,
            "stream": outcome.stream,
            "seq": outcome.seq,
        }
        if outcome.is_duplicate:
            item["duplicate"] = True
        if error:
            item["error"] = None
        return item
    if isinstance(outcome, FluxError):
        return {
            "eventId": None,
            "stream": None,
            "seq": None,
            "error": outcome.message,
            "code": outcome.code,
        }
    message = f"no event has the outcome {outcome!r}"
    raise TypeError(message)
