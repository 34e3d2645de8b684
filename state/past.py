"""What lies behind: stretches of the log and pages of the state, for who catches up.

Connections of its own, so that a long replay never holds up the live feed; on each,
whoever needs a page waits its turn. What is short, or late already, has one to itself:
however many replay the whole log, it waits for none of them. Invariant: a database that
is away makes callers wait, not fail: their connections stay open, and everything goes
on when it is back. What it refuses again and again is the fault of who asked.
"""

import asyncio
from functools import partial
from pathlib import Path

import structlog
from msgspec import Struct
from psycopg.pq.abc import PGresult

from events import follow
from flux_project import looped, pipeline
from flux_project.database import DatabaseUnavailable
from flux_project.looped import LoopConnection
from flux_project.pipeline import Call, Statement
from namespaces import names
from state.frames import Standing, Told
from state.interest import Interest
from state.selection import Selection

PAGE_ROWS = 500
# Who takes what it gets at once gets large pages. The others would hold them for long.
LARGE_PAGE_BYTES = 256 << 10
SMALL_PAGE_BYTES = 64 << 10
ANSWER_SECONDS = 10
AGAIN_SECONDS = 0.5
# What is refused may be so for a passing reason: a lock, a backend that was cancelled.
MOST_REFUSALS = 3
# Greater than any id: a bound that may be missing would be none for the index.
BEHIND_ALL = "\U0010ffff" * (names.MAX_ID_CHARACTERS + 1)

_EVERYTHING = Selection()
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
        self._quick = _Line(loop, "flux past")
        self._long = _Line(loop, "flux replay")

    def close(self) -> None:
        self._quick.close()
        self._long.close()

    async def missed(
        self, seq: int, *, upto: int, page_bytes: int
    ) -> tuple[list[Told], int]:
        """Events behind `seq`, for one who should be live, and how far these are all.
        Of bytes, the last may exceed `page_bytes`."""
        return await _events(
            self._quick, seq, upto=upto, selection=_EVERYTHING, page_bytes=page_bytes
        )

    async def events(
        self, seq: int, *, upto: int, selection: Selection, page_bytes: int
    ) -> tuple[list[Told], int]:
        """The same of the events that a selection matches, for a replay."""
        return await _events(
            self._long, seq, upto=upto, selection=selection, page_bytes=page_bytes
        )

    async def entities(
        self, interest: Interest, *, after: str, page_bytes: int = SMALL_PAGE_BYTES
    ) -> tuple[list[Row], bool]:
        """A page of the entities that an interest matches, in the order of their ids,
        and whether it is the last one."""
        line = self._long if after else self._quick
        answer = await line.ask(_ask_entities(interest, after, page_bytes))
        rows = [_row(answer, row) for row in range(answer.ntuples)]
        found = pipeline.int8(answer.get_value(0, 4)) if rows else 0
        return rows, found == len(rows) < PAGE_ROWS


class _Line:
    """A connection on which one after the other asks."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._loop = loop
        self._is_closed = False
        self._turn = asyncio.Lock()
        self._connection = LoopConnection(
            loop,
            name=name,
            statements=[*follow.STATEMENTS, _SNAPSHOT, _SNAPSHOT_DEFAULT],
            answer_seconds=ANSWER_SECONDS,
        )

    def close(self) -> None:
        self._is_closed = True
        self._connection.close()

    async def ask(self, call: Call) -> PGresult:
        """Raises looped.Refused when it was refused MOST_REFUSALS times, and
        DatabaseUnavailable once this is closed."""
        refusals = 0
        while not self._is_closed:
            outcome = await self._outcome(call)
            if isinstance(outcome, list):
                return outcome[0]
            if isinstance(outcome, looped.Refused):
                refusals += 1
                if refusals == MOST_REFUSALS:
                    raise outcome
            await asyncio.sleep(AGAIN_SECONDS)
        raise DatabaseUnavailable

    async def _outcome(self, call: Call) -> looped.Outcome:
        async with self._turn:
            future: asyncio.Future[looped.Outcome] = self._loop.create_future()
            self._connection.exchange([call], partial(_resolve, future))
            return await future


async def _events(
    line: _Line, seq: int, *, upto: int, selection: Selection, page_bytes: int
) -> tuple[list[Told], int]:
    call = follow.ask_after(seq, upto=upto, selection=selection, most_bytes=page_bytes)
    answer = await line.ask(call)
    found, end = follow.after(answer, seq, upto=upto, selection=selection)
    return [Told(one, seq=one.seq, recorded_at=one.recorded_at) for one in found], end


def _ask_entities(interest: Interest, after: str, page_bytes: int) -> Call:
    selection = interest.selection()
    bounds = (pipeline.integer(PAGE_ROWS), pipeline.bigint(page_bytes))
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
