"""Raw connections to PostgreSQL, for the paths where Django's cost more than the query.

The committer, the readers and the pagers own their connections; everything else uses
Django's. Invariant: every connection made here gives up by itself (lock, statement and
idle timeouts), so a frozen process cannot stop the others.
"""

import struct
import threading
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from django.db import connections
from psycopg import Connection
from psycopg.rows import TupleRow

from flux_project import pipeline
from flux_project.errors import Unavailable
from flux_project.pipeline import Statement

TIMEOUT_MS = 5_000
# Pages of the admin may ask a little longer.
DJANGO_TIMEOUT_MS = 10_000
_DJANGO_LIMITS = (
    "lock_timeout",
    "statement_timeout",
    "idle_in_transaction_session_timeout",
)
# The advisory lock of the log, which serialises the writers of all processes: "flux" in
# ASCII. Who holds it until its transaction ends comes before or after each write.
LOG_LOCK_KEY = 0x666C7578
CONNECT_SECONDS = 5
# A transaction whose client falls silent in mid-pipeline does not count as idle: this
# limit alone ends it, and gives the log's lock back.
_LIMIT_TRANSACTIONS = Statement(
    b"flux_limit", b"SELECT set_config('transaction_timeout', $1, false)"
)
_KNOWS_TRANSACTION_TIMEOUT = 170_000  # PostgreSQL 17


# A network that swallows everything is noticed within half a minute, on both sides: by
# us, so that the next request gets a new connection, and by PostgreSQL, so that it ends
# what a vanished process has begun. (Unix sockets pay no heed to any of these.)
KEEPALIVES: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
_THEIRS = (
    "tcp_keepalives_idle=10",
    "tcp_keepalives_interval=5",
    "tcp_keepalives_count=3",
)


class DatabaseUnavailable(Unavailable):
    """The database does not answer now; nothing of this request was stored."""

    code = "database_unavailable"


def statement(path: Path) -> LiteralString:
    """A `.sql` file's text, as what psycopg takes for a constant statement."""
    text: LiteralString = path.read_text()
    return text


# Plans by index alone, made once. The hot statements look up a handful of keys; a plan
# made for their values costs more than it saves, and one made while a table was small
# would scan it whole when it has grown.
BY_KEY = (
    "plan_cache_mode=force_generic_plan",
    "enable_seqscan=off",
    "enable_hashjoin=off",
    "enable_mergejoin=off",
)


def connect(
    *, timeout_ms: int = TIMEOUT_MS, name: str = "flux", extra: Sequence[str] = ()
) -> Connection[TupleRow]:
    """A new connection to Django's database, in autocommit, with every time bounded.

    timeout_ms: for locks, statements and idle transactions alike; 0 for none. From
    PostgreSQL 17 on a whole transaction may take twice as long.
    extra: further settings, such as BY_KEY.
    Raises DatabaseUnavailable.
    """
    parameters = connections["default"].get_connection_params()
    wanted = {"dbname", "user", "password", "host", "port", "sslmode"}
    limits = ("lock", "statement", "idle_in_transaction_session")
    settings = [f"{limit}_timeout={timeout_ms}" for limit in limits]
    settings += ["timezone=UTC", "jit=off", *_THEIRS, *extra]
    try:
        connection = psycopg.connect(
            **{key: value for key, value in parameters.items() if key in wanted},
            **KEEPALIVES,
            autocommit=True,
            # psycopg prepares nothing by itself: at a rollback it would drop all that
            # is prepared on the connection, the statements of `pipeline` included.
            prepare_threshold=None,
            connect_timeout=CONNECT_SECONDS,
            application_name=name,
            options=" ".join(f"-c {setting}" for setting in settings),
        )
        if connection.info.server_version >= _KNOWS_TRANSACTION_TIMEOUT:
            limit = b"%d" % (2 * timeout_ms)
            pipeline.run(connection, [(_LIMIT_TRANSACTIONS, [limit])])
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable from error
    return connection


def bound_django() -> None:
    """In a server, Django's own connections give up by themselves as well.

    Called before there are any; management commands take their time.
    """
    options = connections.settings["default"]["OPTIONS"]
    given = options.get("options", "")
    limits = [f"-c {name}={DJANGO_TIMEOUT_MS}" for name in _DJANGO_LIMITS]
    options["options"] = " ".join([*limits, given]).strip()


class Session:
    """One thread's connection, which is made anew when it was lost."""

    def __init__(
        self, *, name: str, timeout_ms: int = TIMEOUT_MS, extra: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.timeout_ms = timeout_ms
        self.extra = extra
        self._connection: Connection[TupleRow] | None = None

    def connection(self) -> Connection[TupleRow]:
        """A connection that was alive when last used. Raises DatabaseUnavailable."""
        if self._connection is None or self._connection.closed:
            self._connection = connect(
                timeout_ms=self.timeout_ms, name=self.name, extra=self.extra
            )
        return self._connection

    def __del__(self) -> None:
        # A thread's session goes with its thread; its connection must not stay open.
        self.drop()

    def drop(self) -> None:
        """Ends the connection; the next call makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class ThreadSessions(threading.local):
    """A Session for each thread that asks, for callers on pool threads."""

    def __init__(self, name: str) -> None:
        self.session = Session(name=name, extra=BY_KEY)


def _header(length: int, oid: int) -> bytes:
    return struct.pack(">iiiii", 1, 1, oid, length, 1)


_NULL = b"\xff\xff\xff\xff"
_length = struct.Struct(">i").pack


# One-dimensional arrays in PostgreSQL's binary form, ready to send. psycopg adapts
# lists by looking at every item (the largest part of a commit's Python time); these
# are packed in one go.


def texts(items: Iterable[bytes | None], *, oid: int = 25) -> bytes:
    """`text[]` from UTF-8 bytes; None is NULL."""
    parts = [b""]
    for item in items:
        if item is None:
            parts.append(_NULL)
            parts.append(b"")
        else:
            parts.append(_length(len(item)))
            parts.append(item)
    parts[0] = _header(len(parts) // 2, oid)
    return b"".join(parts)


def strings(items: Iterable[str | None]) -> bytes:
    """`text[]` from texts; None is NULL."""
    return texts([None if item is None else item.encode() for item in items])


def names(items: Sequence[str | None]) -> bytes:
    """The same for texts that come again and again: each is made ready once."""
    chunks = [_chunk(item) for item in items]
    return _header(len(chunks), 25) + b"".join(chunks)


@lru_cache(maxsize=4_096)
def _chunk(item: str | None) -> bytes:
    if item is None:
        return _NULL
    text = item.encode()
    return _length(len(text)) + text


def blobs(items: Iterable[bytes]) -> bytes:
    """`bytea[]`; the layout of `text[]` under another type."""
    return texts(items, oid=17)


def bigints(items: Sequence[int]) -> bytes:
    """`bigint[]`."""
    flat = [8] * (2 * len(items))
    flat[1::2] = items
    return _header(len(items), 20) + struct.pack(">" + "iq" * len(items), *flat)


def bools(items: Sequence[bool]) -> bytes:
    """`bool[]`."""
    body = b"".join([b"\0\0\0\1\1" if item else b"\0\0\0\1\0" for item in items])
    return _header(len(items), 16) + body
