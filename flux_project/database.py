"""Raw connections to PostgreSQL, for the paths where Django's cost more than the query.

The committer, the readers and the pagers own their connections; everything else uses
Django's. Invariant: every connection made here gives up by itself (lock, statement and
idle timeouts), so a frozen process cannot stop the others.
"""

import struct
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, LiteralString, cast

import psycopg
from django.db import connections
from psycopg import Connection
from psycopg.adapt import Dumper
from psycopg.pq import Format
from psycopg.rows import TupleRow

from flux_project.errors import Unavailable

TIMEOUT_MS = 5_000
CONNECT_SECONDS = 5


class DatabaseUnavailable(Unavailable):
    """The database does not answer now; nothing of this request was stored."""

    code = "database_unavailable"


def statement(path: Path) -> LiteralString:
    """A `.sql` file's text, as what psycopg takes for a constant statement."""
    return cast(LiteralString, path.read_text())


def connect(
    *, timeout_ms: int = TIMEOUT_MS, name: str = "flux"
) -> Connection[TupleRow]:
    """A new connection to Django's database, in autocommit, with every time bounded.

    timeout_ms: for locks, statements and idle transactions alike; 0 for none.
    Raises DatabaseUnavailable.
    """
    parameters = connections["default"].get_connection_params()
    wanted = {"dbname", "user", "password", "host", "port", "sslmode"}
    limits = (
        "lock_timeout",
        "statement_timeout",
        "idle_in_transaction_session_timeout",
    )
    settings = [f"{limit}={timeout_ms}" for limit in limits] + ["timezone=UTC"]
    try:
        connection = psycopg.connect(
            **{key: value for key, value in parameters.items() if key in wanted},
            autocommit=True,
            prepare_threshold=1,
            connect_timeout=CONNECT_SECONDS,
            application_name=name,
            options=" ".join(f"-c {setting}" for setting in settings),
        )
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable from error
    for parameter in (Texts, Blobs, Bigints, Bools):
        connection.adapters.register_dumper(parameter, parameter.dumper)
    return connection


class Session:
    """One thread's connection, which is made anew when it was lost."""

    def __init__(self, *, name: str, timeout_ms: int = TIMEOUT_MS) -> None:
        self.name = name
        self.timeout_ms = timeout_ms
        self._connection: Connection[TupleRow] | None = None

    def connection(self) -> Connection[TupleRow]:
        """A connection that was alive when last used. Raises DatabaseUnavailable."""
        if self._connection is None or self._connection.closed:
            self._connection = connect(timeout_ms=self.timeout_ms, name=self.name)
        return self._connection

    def drop(self) -> None:
        """Ends the connection; the next call makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class ThreadSessions(threading.local):
    """A Session for each thread that asks, for callers on pool threads."""

    def __init__(self, name: str) -> None:
        self.session = Session(name=name)


class _Array:
    """A one-dimensional array in PostgreSQL's binary form, ready to send.

    psycopg adapts lists by looking at every item (measured: the largest part of a
    commit's Python time); these are packed in one go.
    """

    __slots__ = ("data",)
    dumper: ClassVar[type[Dumper]]

    def __init__(self, data: bytes) -> None:
        self.data = data


def _header(length: int, oid: int) -> bytes:
    return struct.pack(">iiiii", 1, 1, oid, length, 1)


def _dumper(array_oid: int) -> type[Dumper]:
    class ArrayDumper(Dumper):
        format = Format.BINARY
        oid = array_oid

        def dump(self, obj: _Array) -> bytes:
            return obj.data

    return ArrayDumper


_NULL = b"\xff\xff\xff\xff"
_length = struct.Struct(">i").pack


class Texts(_Array):
    """`text[]` from UTF-8 bytes; None is NULL."""

    dumper = _dumper(1009)
    element_oid: ClassVar[int] = 25

    def __init__(self, items: Sequence[bytes | None]) -> None:
        parts = [_header(len(items), self.element_oid)]
        for item in items:
            if item is None:
                parts.append(_NULL)
            else:
                parts.append(_length(len(item)))
                parts.append(item)
        super().__init__(b"".join(parts))

    @classmethod
    def of(cls, items: Iterable[str | None]) -> "Texts":
        return cls([None if item is None else item.encode() for item in items])


class Blobs(Texts):
    """`bytea[]`; the same layout under another type."""

    dumper = _dumper(1001)
    element_oid = 17


class Bigints(_Array):
    """`bigint[]`."""

    dumper = _dumper(1016)

    def __init__(self, items: Sequence[int]) -> None:
        flat = [8] * (2 * len(items))
        flat[1::2] = items
        body = struct.pack(">" + "iq" * len(items), *flat)
        super().__init__(_header(len(items), 20) + body)


class Bools(_Array):
    """`bool[]`."""

    dumper = _dumper(1000)

    def __init__(self, items: Sequence[bool]) -> None:
        body = b"".join([b"\0\0\0\1\1" if item else b"\0\0\0\1\0" for item in items])
        super().__init__(_header(len(items), 16) + body)
