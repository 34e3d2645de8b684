"""Does the state follow from the log? Compared byte for byte, beside a running server.

Invariant: log and state are read in one snapshot, page by page, and a commit is in a
snapshot whole or not at all; so a difference is never the work of a writer in between,
and no lock is taken. Nothing is written but temporary tables.

Rejected: to replay into a second table up to some position and compare in the end. It
writes the state once more, and must then tell real differences from newer events.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from msgspec import Struct
from psycopg import Connection, IsolationLevel, sql
from psycopg.rows import TupleRow

from events import audit
from flux_project.database import statement
from state import directory
from state.replay import Derived, Page, Replay

SHOWN = 20

_SQL = Path(__file__).parent / "sql"
_BEGIN = statement(_SQL / "verify_begin.sql")
_ENTITIES = statement(_SQL / "verify_entities.sql")
_COUNTS = statement(_SQL / "verify_counts.sql")
_ENTITY_COLUMNS = ("namespace", "properties", "size", "version", "seq", "updated_at")
_COUNT_COLUMNS = ("entities", "updated_at")

Session = Connection[TupleRow]


class Watch(Protocol):
    """Who is told how far it is; `flux_project.progress.Meter` is one."""

    def begin(self, what: str, *, total: int | None, unit: str) -> None: ...

    def advance(self, amount: int) -> None: ...


class Difference(Struct, frozen=True, gc=False):
    """One value that is not what it must be; None: it is missing there."""

    where: str
    column: str
    expected: str | None
    stored: str | None


class Report(Struct):
    """What was looked at, how much of it differs, and the first differences."""

    events: int = 0
    entities: int = 0
    namespaces: int = 0
    known_ids: int = 0
    faults: int = 0
    differences: list[Difference] = []

    @property
    def wanted(self) -> int:
        """How many differences are still worth keeping."""
        return max(SHOWN - len(self.differences), 0)

    def add(self, faults: int, shown: list[Difference]) -> None:
        self.faults += faults
        self.differences += shown[: self.wanted]


def verify(connection: Session, watch: Watch) -> Report:
    """Replays the log and compares; `connection` is the caller's own, in autocommit."""
    report = Report()
    with _snapshot(connection):
        head = audit.head(connection)
        connection.execute(_BEGIN)
    try:
        _check_order(connection, head, report, watch)
        _check_known(connection, report, watch)
        _check_entities(connection, head, report, watch)
        _check_counts(connection, report)
    finally:
        if not connection.closed:
            connection.execute("DROP TABLE IF EXISTS stored_count, derived_count")
    return report


@contextmanager
def _snapshot(connection: Session) -> Iterator[None]:
    """All statements inside see the same commits.

    The snapshot is made by the first query, behind the lock: one from before a rebuild
    changed the tables would find the new ones empty.
    """
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    try:
        with connection.transaction():
            connection.execute(
                "LOCK TABLE state_count, state_entity IN ACCESS SHARE MODE"
            )
            yield
    finally:
        connection.isolation_level = None


def _check_order(connection: Session, head: int, report: Report, watch: Watch) -> None:
    """seq runs 1, 2, 3 … to the head, recorded_at never backwards."""
    watch.begin("log", total=head, unit="events")
    last = 0
    while checked := audit.check_order(
        connection, after=last, upto=head, first=report.wanted
    ):
        last = int(checked.last)
        report.events += checked.rows
        report.add(checked.fault_count, _differences(checked.faults))
        watch.advance(checked.rows)
    if last != head:
        seq = Difference("the log", "last seq", str(head), str(last))
        report.add(1, [seq])


def _check_known(connection: Session, report: Report, watch: Watch) -> None:
    """Each known client-given id names the event it was made for."""
    watch.begin("known ids", total=None, unit="ids")
    last = b""
    while checked := audit.check_known(connection, after=last, first=report.wanted):
        last = bytes(checked.last)
        report.known_ids += checked.rows
        report.add(checked.fault_count, _differences(checked.faults))
        watch.advance(checked.rows)


def _differences(faults: Iterable[audit.Fault]) -> list[Difference]:
    return [
        Difference(f"event {fault.seq}", fault.what, fault.expected, fault.stored)
        for fault in faults
    ]


def _check_entities(
    connection: Session, head: int, report: Report, watch: Watch
) -> None:
    """Every entity is what its events make of it, and there are no others."""
    watch.begin("state", total=head, unit="events")
    replay = Replay(head=head, is_bounded=False)
    end: str | None = ""
    while end is not None:
        with _snapshot(connection):
            page = replay.next_page(connection)
            _compare(connection, page, report)
            replay.tally.store(connection, into=sql.Identifier("derived_count"))
        report.entities += len(page.entities)
        watch.advance(page.counted)
        end = page.end


def _compare(connection: Session, page: Page, report: Report) -> None:
    if page.start == page.end:
        return
    found = connection.execute(
        _ENTITIES,
        (
            *_columns(page.entities),
            page.start,
            page.end,
            page.end,
            directory.ENTITY_ID,
            max(report.wanted, 1),
        ),
    ).fetchall()
    _report_rows(report, found, "entity", _ENTITY_COLUMNS)


def _check_counts(connection: Session, report: Report) -> None:
    """The namespaces' counters are what the events up to the head make of them."""
    found = connection.execute(_COUNTS, (max(report.wanted, 1),)).fetchall()
    _report_rows(report, found, "namespace", _COUNT_COLUMNS)
    row = connection.execute("SELECT count(*) FROM derived_count").fetchone()
    report.namespaces = row[0] if row else 0


def _report_rows(
    report: Report, rows: list[TupleRow], kind: str, names: tuple[str, ...]
) -> None:
    """Counts the rows that differ, and keeps the columns in which they do."""
    if not rows:
        return
    shown: list[Difference] = []
    for where, _, *values in rows:
        expected, stored = values[: len(names)], values[len(names) :]
        shown += _by_column(f"{kind} {where}", names, expected, stored)
    report.add(rows[0][1], shown)


def _by_column(
    where: str,
    names: tuple[str, ...],
    expected: list[str | None],
    stored: list[str | None],
) -> Iterator[Difference]:
    if expected[0] is None or stored[0] is None:
        sides = [None if side[0] is None else "there" for side in (expected, stored)]
        yield Difference(where, "row", *sides)
        return
    for name, ours, theirs in zip(names, expected, stored, strict=True):
        if ours != theirs:
            yield Difference(where, name, ours, theirs)


def _columns(entities: Sequence[Derived]) -> tuple[object, ...]:
    """Entities as the arrays that the statement unnests."""
    return (
        [entity.id for entity in entities],
        [entity.namespace for entity in entities],
        [entity.properties.decode() for entity in entities],
        [entity.version for entity in entities],
        [entity.seq for entity in entities],
        [entity.updated_at for entity in entities],
    )
