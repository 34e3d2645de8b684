"""A connection to PostgreSQL that the event loop itself watches, for the hot paths.

The loop that serves the requests sends the statements and reads the answers, so a
request changes no thread (measured: a thread between them cost 15 of 34 us a read, most
of it waiting for the interpreter's lock). Exchanges are sent one behind the other
without waiting; the calls of each are one transaction, which ends with it. Invariant:
every exchange is told its outcome once, in order.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import psycopg
import structlog
from psycopg import Connection, sql
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.rows import TupleRow

from flux_project import pipeline
from flux_project.database import BY_KEY, DatabaseUnavailable, connect
from flux_project.pipeline import Call, Statement

logger = structlog.get_logger(__name__)

# What an exchange comes to: its results, or why there are none.
Outcome = list[PGresult] | psycopg.Error | DatabaseUnavailable
Done = Callable[[Outcome], None]
Heard = Callable[[str, str], None]


class Refused(psycopg.Error):
    """A call failed, and with it the whole exchange; the connection is fine."""


class _Exchange:
    __slots__ = ("calls", "deadline", "done", "failure", "results")

    def __init__(self, calls: Sequence[Call], done: Done) -> None:
        self.calls = calls
        self.done = done
        self.results: list[PGresult] = []
        self.failure: Refused | None = None
        self.deadline: asyncio.TimerHandle | None = None


class LoopConnection:
    """One loop's connection. Not for other threads.

    answer_seconds: an exchange that takes longer has lost its connection.
    channels: what to LISTEN to; `heard` gets the channel and payload of each NOTIFY.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        name: str,
        statements: Sequence[Statement],
        answer_seconds: float,
        channels: Sequence[str] = (),
        heard: Heard | None = None,
    ) -> None:
        self._loop = loop
        self._name = name
        self._statements = statements
        self._answer_seconds = answer_seconds
        self._channels = channels
        self._heard = heard
        self._connection: Connection[TupleRow] | None = None
        self._socket = -1  # libpq forgets it when it loses the connection
        # PostgreSQL's process at the other end of the newest connection.
        self.backend_pid = 0
        self._is_connecting = False
        self._under_way: deque[_Exchange] = deque()

    def exchange(self, calls: Sequence[Call], done: Done) -> None:
        """Sends the calls in one go, as one transaction; `done` is called once, later.

        It gets their results in order; Refused when one failed and nothing was done;
        DatabaseUnavailable when there is no connection to be had, and
        psycopg.OperationalError when it broke, so that nobody knows the outcome.
        """
        exchange = _Exchange(calls, done)
        self._under_way.append(exchange)
        if self._connection is not None:
            self._send(exchange)
        elif not self._is_connecting:
            self._is_connecting = True
            connecting = self._loop.run_in_executor(None, self._connect)
            connecting.add_done_callback(self._connected)

    def close(self) -> None:
        """Ends the connection; exchanges under way get an error."""
        failed = self._cut(None)
        _finish_all(failed, psycopg.OperationalError("the connection was closed"))

    def _connect(self) -> Connection[TupleRow]:
        connection = connect(name=self._name, extra=BY_KEY)
        try:
            pipeline.prepare(connection, self._statements)
            for channel in self._channels:
                connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        except psycopg.Error as error:
            connection.close()
            raise DatabaseUnavailable from error
        connection.pgconn.nonblocking = 1
        connection.pgconn.enter_pipeline_mode()
        return connection

    def _connected(self, connecting: "asyncio.Future[Connection[TupleRow]]") -> None:
        self._is_connecting = False
        error = connecting.exception()
        if error is not None:
            logger.warning("no_connection", name=self._name, error=str(error).strip())
            _finish_all(self._cut(error), DatabaseUnavailable())
            return
        self._connection = connecting.result()
        self.backend_pid = self._connection.info.backend_pid
        self._socket = self._connection.pgconn.socket
        self._loop.add_reader(self._socket, self._readable)
        for exchange in list(self._under_way):
            self._send(exchange)

    def _send(self, exchange: _Exchange) -> None:
        if self._connection is None:
            return  # lost while those before it were sent
        raw = self._connection.pgconn
        try:
            for statement, parameters in exchange.calls:
                raw.send_query_prepared(
                    statement.name,
                    parameters,
                    param_formats=[1] * len(parameters),
                    result_format=1,
                )
            raw.pipeline_sync()
            if raw.flush():
                # The socket takes no more now; the rest goes when it does.
                self._loop.add_writer(self._socket, self._writable)
        except Exception as error:  # noqa: BLE001  nobody may wait for ever
            # Half of it may be queued: nothing may follow on this connection, or its
            # Sync would commit the half. They are told later, as the caller is not
            # prepared to hear of it now.
            failed = self._cut(error)
            self._loop.call_soon(_finish_all, failed, _as_operational(error))
            return
        exchange.deadline = self._loop.call_later(self._answer_seconds, self._too_late)

    def _writable(self) -> None:
        assert self._connection is not None  # noqa: S101  its writer is removed first
        raw = self._connection.pgconn
        try:
            if not raw.flush():
                self._loop.remove_writer(self._socket)
        except Exception as error:  # noqa: BLE001  nobody may wait for ever
            self._lost(error)

    def _readable(self) -> None:
        """Bytes of an answer came, or the connection ended, also while it was idle."""
        assert self._connection is not None  # noqa: S101  its reader is removed first
        raw = self._connection.pgconn
        over: list[_Exchange] = []
        try:
            raw.consume_input()
            while self._under_way and not raw.is_busy():
                if self._take(raw, raw.get_result()):
                    over.append(self._under_way.popleft())
        except Exception as error:  # noqa: BLE001  nobody may wait for ever
            self._lost(error, before=over)
            return
        for exchange in over:
            _finish(exchange, exchange.failure or exchange.results)
        if self._heard is not None:
            self._hear(raw, self._heard)

    def _hear(self, raw: PGconn, heard: Heard) -> None:
        while (notify := raw.notifies()) is not None:
            heard(notify.relname.decode(), notify.extra.decode())

    def _take(self, raw: PGconn, result: PGresult | None) -> bool:
        """Takes one result (None stands between two); whether an exchange is over."""
        if result is None:
            if raw.status == ConnStatus.BAD:
                raise psycopg.OperationalError(raw.get_error_message())
            return False
        exchange = self._under_way[0]
        status = result.status
        if status == ExecStatus.PIPELINE_SYNC:
            return True
        if status in pipeline.FINE:
            exchange.results.append(result)
        elif status != ExecStatus.PIPELINE_ABORTED and exchange.failure is None:
            cause = psycopg.errors.error_from_result(result)
            exchange.failure = Refused(str(cause).strip())
            exchange.failure.sqlstate = cause.sqlstate
        return False

    def _too_late(self) -> None:
        self._lost(psycopg.OperationalError("the database did not answer in time"))

    def _lost(self, error: Exception, *, before: Sequence[_Exchange] = ()) -> None:
        """Tells all what came of them; those `before` were over when it happened."""
        failed = self._cut(error)
        for exchange in before:
            _finish(exchange, exchange.failure or exchange.results)
        _finish_all(failed, _as_operational(error))

    def _cut(self, error: BaseException | None) -> list[_Exchange]:
        """Ends the connection; the exchanges whose outcome nobody knows now.

        error: None where it is meant to end.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            if error is not None:
                why = str(error).strip()
                logger.warning("connection_lost", name=self._name, error=why)
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            connection.close()
        failed = list(self._under_way)
        self._under_way.clear()
        return failed


def _as_operational(error: Exception) -> psycopg.OperationalError:
    is_one = isinstance(error, psycopg.OperationalError)
    return error if is_one else psycopg.OperationalError(str(error))  # type: ignore[return-value]  # by is_one


def _finish_all(exchanges: Sequence[_Exchange], outcome: Outcome) -> None:
    for exchange in exchanges:
        _finish(exchange, outcome)


def _finish(exchange: _Exchange, outcome: Outcome) -> None:
    if exchange.deadline is not None:
        exchange.deadline.cancel()
    try:
        exchange.done(outcome)
    except Exception:
        # A bug of one must not keep the others' outcomes back.
        logger.exception("exchange_failed")
