"""Following the log: what was appended behind a seq, in bounded stretches.

For the feed, which knows its place in the log and reads on from there, and for who
catches up. Invariant: a stretch says how far it is complete, so that who continues
there misses nothing and sees nothing twice.
"""

from pathlib import Path

from msgspec import Struct
from psycopg.pq.abc import PGresult

from events import envelope
from flux_project import pipeline
from flux_project.pipeline import Call, Statement
from state.selection import Selection

# One call looks at so many events of the log at most, where a filter may match rarely.
WINDOW = 5_000
# It answers so many: to decode them takes the loop about two milliseconds.
MOST_EVENTS = 500
MOST_BYTES = 512 << 10

_SQL = Path(__file__).parent / "sql"
_PULSE = Statement.from_file(_SQL / "pulse.sql")
_AFTER = Statement.from_file(_SQL / "after.sql")
_AFTER_ENTITY = Statement.from_file(_SQL / "after_entity.sql")

STATEMENTS = (_PULSE, _AFTER, _AFTER_ENTITY)


class Logged(Struct, frozen=True, gc=False):
    """An event as the log has it, as far as listeners are told of it."""

    seq: int
    event_id: str
    namespace: str
    entity_id: str
    source: str
    recorded_at: int
    properties: bytes
    unset: tuple[str, ...]
    is_tombstone: bool


class Pulse(Struct, frozen=True):
    """Where the log ends, which it is, and the id of the event that was asked about."""

    seq: int
    log_id: bytes
    event_id: str | None


def ask_pulse(at_seq: int) -> Call:
    """Asks where the log ends, and what stands at `at_seq`; `pulse` reads it."""
    return _PULSE, (pipeline.bigint(at_seq),)


def pulse(answer: PGresult) -> Pulse:
    columns = (pipeline.int8, pipeline.raw, pipeline.text)
    found = pipeline.rows(answer, *columns)
    if not found:
        message = "events_log has lost its row: this is no Flux database."
        raise LookupError(message)
    return Pulse(*found[0])


def ask_after(
    seq: int, *, upto: int, selection: Selection, most_bytes: int = MOST_BYTES
) -> Call:
    """Asks for the events behind `seq` that a selection matches; `after` reads them.

    They lie at `upto` or before, and within WINDOW, MOST_EVENTS and `most_bytes`, which
    the last of them may exceed.
    """
    end = pipeline.bigint(_end(seq, upto, selection))
    place = (pipeline.bigint(seq), end, pipeline.bigint(most_bytes))
    most = pipeline.integer(MOST_EVENTS)
    if selection.ids is not None:
        return _AFTER_ENTITY, (*place, selection.ids[0].encode(), most)
    low, high = selection.bounds()
    ids = (low.encode(), None if high is None else high.encode())
    is_default = b"\1" if selection.is_default else b"\0"
    return _AFTER, (*place, *ids, is_default, most)


def _end(seq: int, upto: int, selection: Selection) -> int:
    """How far one call looks; of one entity the index finds its events anywhere."""
    return upto if selection.ids is not None else min(upto, seq + WINDOW)


def after(
    answer: PGresult, seq: int, *, upto: int, selection: Selection
) -> tuple[list[Logged], int]:
    """The events that `ask_after` asked for, and the seq up to which these are all."""
    found = [_logged(answer, row) for row in range(answer.ntuples)]
    if found:
        before_bytes = pipeline.int8(answer.get_value(0, 7))
        if before_bytes == MOST_EVENTS or before_bytes > len(found):
            return found, found[-1].seq
    return found, _end(seq, upto, selection)


def _logged(answer: PGresult, row: int) -> Logged:
    value = answer.get_value
    text = pipeline.text
    return Logged(
        pipeline.int8(value(row, 0)),
        text(value(row, 1)),
        text(value(row, 2)),
        text(value(row, 3)),
        text(value(row, 4)),
        pipeline.moment(value(row, 5)),
        *envelope.effect_of(value(row, 6) or b""),
    )
