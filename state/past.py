"""What lies behind: stretches of the log and pages of the state, for who catches up.

One connection of its own, so that a long replay never holds up the live feed; whoever
needs a page waits its turn. Invariant: a database that is away makes callers wait, not
fail: their connections stay open, and everything goes on when it is back. What it
refuses is the fault of who asked.
"""

import asyncio
from functools import partial
from pathlib import Path

import structlog
from msgspec import Struct
from psycopg.pq.abc import PGresult

from events import follow
from flux_project import looped, pipeline
from flux_project.looped import LoopConnection
from flux_project.pipeline import Call, Statement
from namespaces import names
from state.frames import Standing, Told
from state.interest import Interest
from state.selection import Selection

PAGE_ROWS = 500
PAGE_BYTES = 256 << 10
ANSWER_SECONDS = 10
AGAIN_SECONDS = 0.5
# Greater than any id: a bound that may be missing would be none for the index.
BEHIND_ALL = "\U0010ffff" * (names.MAX_ID_CHARACTERS + 1)

_SQL = Path(__file__).parent / "sql"
_SNAPSHOT = Statement.from_file(_SQL / "snapshot.sql")
_SNAPSHOT_DEFAULT = Statement.from_file(_SQL / "snapshot_default.sql")
logger = structlog.get_logger(__name__)


class Row(Struct, frozen=True, gc=False):
    """An entity as it stands; recorded_at: us since 1970 of its newest event."""

    id: str
    seq: int
    recorded_at: int
    properties: bytes


def told_of(row: Row) -> Told:
    """An entity's row as what listeners are told, with the entity's own seq."""
    effect = Standing(row.id, row.properties)
    return Told(effect, seq=row.seq, recorded_at=row.recorded_at)


class Past:
    """One loop's reader of what lies behind. Not for other threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._turn = asyncio.Lock()
        self._line = LoopConnection(
            loop,
            name="flux past",
            statements=[*follow.STATEMENTS, _SNAPSHOT, _SNAPSHOT_DEFAULT],
            answer_seconds=ANSWER_SECONDS,
        )

    def close(self) -> None:
        self._line.close()

    async def events(
        self, seq: int, *, upto: int, selection: Selection
    ) -> tuple[list[Told], int]:
        """Events behind `seq` that a selection matches, and how far these are all."""
        call = follow.ask_after(seq, upto=upto, selection=selection)
        answer = await self._ask(call)
        found, end = follow.after(answer, seq, upto=upto, selection=selection)
        return [
            Told(one, seq=one.seq, recorded_at=one.recorded_at) for one in found
        ], end

    async def entities(self, interest: Interest, *, after: str) -> list[Row]:
        """A page of the entities that an interest matches, in the order of their ids;
        none at the end."""
        answer = await self._ask(_ask_entities(interest, after))
        return [_row(answer, row) for row in range(answer.ntuples)]

    async def _ask(self, call: Call) -> PGresult:
        async with self._turn:
            while True:
                future: asyncio.Future[looped.Outcome] = self._loop.create_future()
                self._line.exchange([call], partial(_resolve, future))
                outcome = await future
                if isinstance(outcome, list):
                    return outcome[0]
                if isinstance(outcome, looped.Refused):
                    # It would be refused again, and the others wait behind it.
                    raise outcome
                await asyncio.sleep(AGAIN_SECONDS)


def _ask_entities(interest: Interest, after: str) -> Call:
    selection = interest.selection()
    bounds = (pipeline.integer(PAGE_ROWS), pipeline.bigint(PAGE_BYTES))
    if selection.is_default:
        return _SNAPSHOT_DEFAULT, (after.encode(), *bounds)
    low, high = selection.bounds()
    if selection.ids is not None:
        # Ids hold no control characters: nothing else lies in this range.
        low = selection.ids[0]
        high = low + "\x01"
    ids = (after.encode(), low.encode(), (high or BEHIND_ALL).encode())
    return _SNAPSHOT, (*ids, _bool(interest.wants_directory), *bounds)


def _bool(value: object) -> bytes:
    return b"\1" if value else b"\0"


def _row(answer: PGresult, row: int) -> Row:
    value = answer.get_value
    return Row(
        pipeline.text(value(row, 0)),
        pipeline.int8(value(row, 1)),
        pipeline.moment(value(row, 2)),
        value(row, 3) or b"{}",
    )


def _resolve(future: "asyncio.Future[looped.Outcome]", outcome: looped.Outcome) -> None:
    if not future.done():
        future.set_result(outcome)
