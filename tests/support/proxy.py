"""A proxy between Flux and PostgreSQL that knows a commit when it sees one.

That is a COMMIT, or the Sync behind an append that stands in no transaction block.

It passes every message on, except what `fault` says about a commit; so a test decides
what a commit's fate is and what Flux gets to hear of it. Invariant: a fault meets
exactly one commit, and PostgreSQL's part of it is over before Flux notices.

The protocol's framing: a start-up packet (length, code, …), then messages (type,
length, …), both ways (postgresql.org/docs/18/protocol-message-formats.html).
"""

import asyncio
import struct
import threading
from asyncio import CancelledError, IncompleteReadError, StreamReader, StreamWriter
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from tests.support import session

# Requests for encryption, which are declined so that the messages can be read.
_ENCRYPTION_CODES = {80877103, 80877104}
_BIND, _SYNC, _QUERY = b"B", b"S", b"Q"
_READY, _COMPLETE = b"Z", b"C"
_COMMIT, _LOCK = b"\0flux_commit\0", b"\0flux_events_lock\0"
_APPEND = b"\0flux_events_append\0"
_START_SECONDS = 10
Message = tuple[bytes, bytes]
Handle = Callable[[Message], Coroutine[Any, Any, None]]


class Fault(Enum):
    """What becomes of a commit."""

    NONE = auto()
    DROPPED_BEFORE = auto()  # it never reaches PostgreSQL; both connections end
    DROPPED_AFTER = auto()  # it is done; its answer is lost and both connections end
    SILENT_BEFORE = auto()  # its first byte arrives; both connections stay open
    SILENT_AFTER = auto()  # it is done; nothing comes back, both connections stay open


class Broken(Exception):
    """A fault has ended the connection."""


class Proxy:
    """Listens on a loopback port; `fault` is asked at each commit.

    is_closed: new connections are refused. refused: those whose application_name is
    that are. when_locked: called once, before Flux hears
    that it holds the log's lock. before_drop: called once, when a DROPPED_… fault has
    done its part with PostgreSQL and before Flux notices.
    """

    def __init__(self, database: str) -> None:
        self.database = database
        self._postgres = conninfo_to_dict(session.database_url(database))
        self.port = 0
        self.fault: Callable[[], Fault] = lambda: Fault.NONE
        self.is_closed = False
        self.refused: str | None = None
        self.when_locked: Callable[[], None] | None = None
        self.before_drop: Callable[[], None] | None = None
        self.met: Counter[Fault] = Counter()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The DATABASE_URL of a server that goes through this proxy."""
        user = f"{self._postgres['user']}:{self._postgres['password']}"
        where = f"127.0.0.1:{self.port}/{self._postgres['dbname']}"
        return f"postgresql://{user}@{where}?sslmode=disable"

    def once(self, fault: Fault) -> None:
        """The next commit meets this fault, those behind it none."""
        faults = iter([fault])
        self.fault = lambda: next(faults, Fault.NONE)

    def run(self, is_up: threading.Event) -> None:
        """Serves on this thread until `end` is called from another."""
        asyncio.set_event_loop(self._loop)
        started = asyncio.start_server(self._admit, "127.0.0.1", 0)
        server = self._loop.run_until_complete(started)
        self.port = server.sockets[0].getsockname()[1]
        self._loop.call_soon(is_up.set)
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(self._end_links())
        self._loop.close()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _end_links(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _admit(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(OSError, IncompleteReadError, Broken, CancelledError):
            if not self.is_closed:
                await self._serve(reader, writer)
        await _close(writer)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        start = await _start_up(reader, writer)
        if self.refused is not None and _named(self.refused) in start:
            return
        where = "{host}/.s.PGSQL.{port}".format_map(self._postgres)
        up_reader, up_writer = await asyncio.open_unix_connection(where)
        try:
            up_writer.write(start)
            link = _Link(self, up_writer, writer)
            await _first_of(
                link.pass_on(reader, link.from_flux),
                link.pass_on(up_reader, link.from_postgres),
            )
        finally:
            await _close(up_writer)


async def _start_up(reader: StreamReader, writer: StreamWriter) -> bytes:
    """The start-up packet; what asks for encryption before it is declined."""
    while True:
        length, code = struct.unpack("!ii", await reader.readexactly(8))
        rest = await reader.readexactly(length - 8)
        if code not in _ENCRYPTION_CODES:
            return struct.pack("!ii", length, code) + rest
        writer.write(b"N")


def _named(name: str) -> bytes:
    return b"\0application_name\0%b\0" % name.encode()


async def _close(writer: StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _first_of(*works: Coroutine[Any, Any, None]) -> None:
    """Runs both until one ends; the other is cancelled."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Link:
    """One connection of Flux and its counterpart."""

    def __init__(
        self, proxy: Proxy, postgres: StreamWriter, flux: StreamWriter
    ) -> None:
        self.proxy = proxy
        self.postgres = postgres
        self.flux = flux
        self.fault = Fault.NONE
        self.is_locking = False
        self.is_writing = False
        # What becomes of the answers to come: one for each Sync under way.
        self.rounds: deque[Fault] = deque()
        self.is_silent = False
        self.is_dropping = False

    async def pass_on(
        self,
        reader: StreamReader,
        handle: Handle,
    ) -> None:
        """Handles message by message until one side ends the connection."""
        try:
            while True:
                kind, length = struct.unpack("!ci", await reader.readexactly(5))
                await handle((kind, await reader.readexactly(length - 4)))
        except (OSError, IncompleteReadError):
            if self.is_dropping or self.is_silent:
                # The other direction ends it; what is silent says no goodbye either.
                await asyncio.Event().wait()

    async def from_flux(self, message: Message) -> None:
        kind, body = message
        if kind == _BIND and body.startswith(_LOCK):
            self.is_locking = True
        elif kind == _BIND and body.startswith(_APPEND):
            self.is_writing = True
        elif kind == _BIND and body.startswith(_COMMIT):
            self.is_writing = False
            await self._meet(kind)
        elif kind in {_SYNC, _QUERY}:
            await self._end_round(kind)
        if not self.is_silent:
            await _send(self.postgres, message)

    async def _end_round(self, kind: bytes) -> None:
        """The end of statements that PostgreSQL answers with one READY."""
        was, self.fault = self.fault, Fault.NONE
        if self.is_writing:
            self.is_writing = False
            await self._meet(kind)
        self.rounds.append(self.fault if was is Fault.NONE else was)

    async def from_postgres(self, message: Message) -> None:
        kind, body = message
        if message == (_READY, b"T") and self.is_locking:
            self._tell_locked()
        is_over = kind == _READY and bool(self.rounds)
        if is_over or (kind == _COMPLETE and body == b"COMMIT\0"):
            fault = self.rounds.popleft() if is_over else self.rounds[0]
            if fault is Fault.DROPPED_AFTER:
                await self._drop()
            self.is_silent |= fault is Fault.SILENT_AFTER
        if not self.is_silent:
            await _send(self.flux, message)

    async def _meet(self, kind: bytes) -> None:
        self.fault = self.proxy.fault()
        self.proxy.met[self.fault] += 1
        if self.fault is Fault.DROPPED_BEFORE:
            await self._drop()
        if self.fault is Fault.SILENT_BEFORE:
            self.postgres.write(kind)  # it stops in the middle of a message
            self.is_silent = True

    def _tell_locked(self) -> None:
        self.is_locking = False
        told, self.proxy.when_locked = self.proxy.when_locked, None
        if told is not None:
            told()

    async def _drop(self) -> None:
        """PostgreSQL's end first, so that its part is over when Flux notices."""
        self.is_dropping = True
        self.postgres.transport.abort()
        told, self.proxy.before_drop = self.proxy.before_drop, None
        if told is not None:
            await asyncio.to_thread(told)
        self.flux.transport.abort()
        raise Broken


async def _send(writer: StreamWriter, message: Message) -> None:
    kind, body = message
    writer.write(kind + struct.pack("!i", len(body) + 4) + body)
    await writer.drain()


@contextmanager
def running(database: str) -> Iterator[Proxy]:
    """A proxy to a database of the tests' own PostgreSQL."""
    proxy = Proxy(database)
    is_up = threading.Event()
    thread = threading.Thread(target=proxy.run, args=(is_up,), name="proxy")
    thread.start()
    try:
        assert is_up.wait(_START_SECONDS), "the proxy did not start"
        yield proxy
    finally:
        proxy.end()
        thread.join(_START_SECONDS)
