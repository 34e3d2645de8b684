"""A few connections that the threads of this process take turns with.

For reads whose caller has a thread: lists, history, pages. Invariant: at most SIZE are
open; who waits longer than a moment is told to come back.
"""

import queue
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from flux_project.database import DatabaseUnavailable, Session
from flux_project.errors import FluxError
from flux_project.gather import Overloaded

SIZE = 4
WAIT_SECONDS = 10

_idle: queue.LifoQueue[Session] = queue.LifoQueue()
for _ in range(SIZE):
    _idle.put(Session(name="flux pages"))


@contextmanager
def connection(*, wait_seconds: float = WAIT_SECONDS) -> Iterator[Connection[TupleRow]]:
    """One of the connections, for a statement or a few. Raises Unavailable."""
    try:
        session = _idle.get(timeout=wait_seconds)
    except queue.Empty:
        raise Overloaded from None
    try:
        yield session.connection()
    except psycopg.Error as error:
        session.drop()
        raise DatabaseUnavailable from error
    except FluxError:
        raise
    except BaseException:
        session.drop()
        raise
    finally:
        _idle.put(session)
