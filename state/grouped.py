"""Reads of single entities, gathered on the event loop: what waits is one query.

The socket to PostgreSQL is watched by the loop that serves the requests, so a read
changes no thread (measured: a thread between them cost 15 of 34 us a read, most of it
waiting for the interpreter's lock). Invariant: every read that `submit` took is
answered exactly once, by a query that began after it was submitted.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import psycopg
import structlog
from psycopg import Connection
from psycopg.pq.abc import PGresult
from psycopg.rows import TupleRow

from flux_project import pipeline
from flux_project.database import BY_KEY, DatabaseUnavailable, connect
from flux_project.errors import FluxError
from flux_project.gather import Overloaded
from state import reader
from state.reader import Found
from state.store import EntityNotFound

GROUP_READS = 500
GROUP_BYTES_EACH = 64 << 10
MAX_WAITING = 50_000
ANSWER_SECONDS = 10

logger = structlog.get_logger(__name__)
Answer = Callable[[Found | FluxError], None]
_Read = tuple[str, Answer]


class GroupedReads:
    """One loop's reads, one query under way at a time. Not for other threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[_Read] = deque()
        self._large: deque[_Read] = deque()
        self._under_way: list[_Read] = []
        self._is_scheduled = False
        self._connection: Connection[TupleRow] | None = None
        self._results: list[PGresult] = []
        self._deadline: asyncio.TimerHandle | None = None

    def submit(self, entity_id: str, answer: Answer) -> None:
        """Reads an entity; `answer` is called once, later. Raises Overloaded."""
        if len(self._waiting) >= MAX_WAITING:
            raise Overloaded
        self._waiting.append((entity_id, answer))
        self._schedule()

    def close(self) -> None:
        """Drops the connection; reads that wait are answered with an error."""
        self._fail(DatabaseUnavailable())

    def _schedule(self) -> None:
        # On the loop's next round: until then more requests arrive and go along.
        if not (self._is_scheduled or self._under_way):
            self._is_scheduled = True
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._is_scheduled = False
        if self._connection is None:
            self._is_scheduled = True
            connecting = self._loop.run_in_executor(None, _connect)
            connecting.add_done_callback(self._connected)
        elif self._large:
            self._send([self._large.popleft()], most_bytes=reader.MAX_SIZE)
        elif self._waiting:
            take = min(GROUP_READS, len(self._waiting))
            group = [self._waiting.popleft() for _ in range(take)]
            self._send(group, most_bytes=GROUP_BYTES_EACH)

    def _connected(self, connecting: "asyncio.Future[Connection[TupleRow]]") -> None:
        self._is_scheduled = False
        error = connecting.exception()
        if error is not None:
            is_ours = isinstance(error, FluxError)
            self._fail(error if is_ours else DatabaseUnavailable())  # type: ignore[arg-type]  # by is_ours
            return
        self._connection = connecting.result()
        self._loop.add_reader(self._connection.pgconn.socket, self._readable)
        self._begin()

    def _send(self, group: list[_Read], *, most_bytes: int) -> None:
        assert self._connection is not None  # noqa: S101  _begin saw to it
        self._under_way = group
        self._results = []
        ids = list(dict.fromkeys([entity_id for entity_id, _ in group]))
        statement, parameters = reader.ask(ids, most_bytes=most_bytes)
        formats = [1] * len(parameters)
        raw = self._connection.pgconn
        try:
            raw.send_query_prepared(
                statement.name, parameters, param_formats=formats, result_format=1
            )
            raw.flush()
        except Exception as error:  # noqa: BLE001  no read may wait for ever
            self._lost(error)
            return
        self._deadline = self._loop.call_later(ANSWER_SECONDS, self._too_late)

    def _readable(self) -> None:
        """Bytes of an answer came, or the connection ended, also while it was idle."""
        assert self._connection is not None  # noqa: S101  its reader is removed first
        raw = self._connection.pgconn
        try:
            raw.consume_input()
            while self._under_way and not raw.is_busy():
                result = raw.get_result()
                if result is None:
                    self._finish()
                else:
                    self._results.append(result)
        except Exception as error:  # noqa: BLE001  no read may wait for ever
            self._lost(error)

    def _finish(self) -> None:
        """The query under way is complete: answers its reads, begins the next."""
        if self._deadline is not None:
            self._deadline.cancel()
        [result] = self._results
        pipeline.refuse_failure(result)
        found = reader.found(result)
        group, self._under_way = self._under_way, []
        self._begin_next(group, found)
        for entity_id, answer in group:
            entity = found.get(entity_id)
            if entity is None:
                answer(EntityNotFound())
            elif entity.body is not None:
                answer(entity)

    def _begin_next(self, group: Sequence[_Read], found: dict[str, Found]) -> None:
        for read in group:
            entity = found.get(read[0])
            if entity is not None and entity.body is None:
                self._large.append(read)
        if self._waiting or self._large:
            self._schedule()

    def _too_late(self) -> None:
        self._lost(psycopg.OperationalError("a read was not answered in time"))

    def _lost(self, error: Exception) -> None:
        logger.warning("reader_lost_its_connection", error=str(error).strip())
        self._fail(DatabaseUnavailable())

    def _fail(self, error: FluxError) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._loop.remove_reader(connection.pgconn.socket)
            connection.close()
        if self._deadline is not None:
            self._deadline.cancel()
        failed = [*self._under_way, *self._large, *self._waiting]
        self._under_way = []
        self._large.clear()
        self._waiting.clear()
        for _, answer in failed:
            answer(error)


def _connect() -> Connection[TupleRow]:
    connection = connect(name="flux reader", extra=BY_KEY)
    statement, _ = reader.ask([])
    pipeline.refuse_failure(connection.pgconn.prepare(statement.name, statement.sql))
    connection.pgconn.nonblocking = 1
    return connection
