"""All usable tokens, in the memory of each process.

Checking a token asks no database. It need not, because a change of the registry takes a
version, which every write reads under the log's lock: one that finds a newer version
than this process knows reads the change, and decides again, before it writes
(`events.ingest`). For all else a NOTIFY and a poll keep this at most a second old.
Invariant: what is answered here held at `version`; a usable token that is missing here
was made later than that, which `find` asks the database about.
"""

import hmac
import math
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from psycopg import Connection, sql
from psycopg.rows import TupleRow

from flux_project import pool
from flux_project.database import Session, statement
from flux_project.errors import Unavailable
from namespaces import config, grants, tokens
from namespaces.grants import Grant

# A change that was told of is here at once; one whose NOTIFY was lost, after so long.
POLL_SECONDS = 0.5
# Without a look at the database for so long, nothing is known for sure.
CONFIRMED_SECONDS = 1.0
# So long one look at the database waits for another thread's.
WAIT_SECONDS = 2.0
# The last use of a token is written once a minute at most.
USE_SECONDS = 60
CHANNEL = "flux_registry"

_SQL = Path(__file__).parent / "sql"
_VERSION = statement(_SQL / "registry_version.sql")
_CHANGED = statement(_SQL / "changed.sql")
_USED = statement(_SQL / "used.sql")

_Row = tuple[str, bytes | None, str, str | None, list[str], bool, float | None]


class RegistryUnconfirmed(Unavailable):
    """This server cannot see its registry of tokens now; try again soon."""

    code = "registry_unconfirmed"


class Registry:
    """One process's. Any thread may ask; changes are made under a lock."""

    def __init__(self) -> None:
        self.version = -1
        self._log_id: UUID | None = None
        self._grants: dict[str, tuple[Grant, ...]] = {}
        self._confirmed_at = -math.inf
        self._lock = threading.Lock()
        self._used: set[str] = set()
        self._noted: dict[str, float] = {}

    def known(self, text: bytes) -> Grant | None:
        """The grant of a token's text, as far as this process knows. No I/O."""
        given = tokens.digest(text)
        for grant in self._grants.get(text[tokens.ID].decode("latin-1"), ()):
            if hmac.compare_digest(grant.digest, given):
                if grant.until <= time.time():
                    return None
                self._used.add(grant.token_id)
                return grant
        return None

    def find(self, text: bytes) -> Grant | None:
        """The same, after a look at the database for one that is unknown here.

        Raises Unavailable when it cannot look: it never says no on a guess, nor yes.
        """
        grant = self.known(text)
        if grant is None:
            with pool.connection() as connection:
                self.refresh(connection)
            grant = self.known(text)
        return grant

    def current(self, grant: Grant) -> Grant | None:
        """A grant that was found before, as it is now; None when it has ended."""
        for now in self._grants.get(grant.token_id, ()):
            if now is grant or now.digest == grant.digest:
                return now
        return None

    def confirm(self) -> None:
        """Makes sure that what is here is a second old at most. May look.

        For a yes that no write stands behind, as a write looks by itself. Raises
        Unavailable.
        """
        if time.monotonic() - self._confirmed_at > CONFIRMED_SECONDS:
            with pool.connection() as connection:
                self.refresh(connection)

    def refresh(self, connection: Connection[TupleRow]) -> None:
        """Takes over what has changed; for who has a connection, in any transaction.

        Raises RegistryUnconfirmed where another thread's look takes too long: who holds
        the log's lock must not wait for it.
        """
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            raise RegistryUnconfirmed
        try:
            self._refresh(connection)
        finally:
            self._lock.release()

    def _refresh(self, connection: Connection[TupleRow]) -> None:
        asked_at = time.monotonic()
        row = connection.execute(_VERSION).fetchone()
        if row is None:
            message = "events_log has lost its row: this is no Flux database."
            raise LookupError(message)
        log_id, version = row
        if log_id != self._log_id or version < self.version:
            self._grants, self.version = {}, -1  # another database, or an older state
        if version > self.version:
            changed = connection.execute(_CHANGED, {"since": self.version})
            self._take(changed.fetchall())
            self._log_id, self.version = log_id, version
        self._confirmed_at = asked_at

    def _take(self, rows: Iterable[_Row]) -> None:
        found: dict[str, list[Grant]] = {}
        for token_id, digest, namespace, prefix, scopes, is_suspended, until in rows:
            ours = found.setdefault(token_id, [])
            if digest is not None:
                ends = math.inf if until is None else until
                held = grants.held(tuple(scopes))
                made = Grant(
                    token_id, digest, namespace, prefix, held, is_suspended, ends
                )
                ours.append(made)
        for token_id, ours in found.items():
            if ours:
                self._grants[token_id] = tuple(ours)
            else:
                self._grants.pop(token_id, None)

    def note_uses(self, connection: Connection[TupleRow]) -> None:
        """Writes down which tokens were used, each once a minute at most."""
        used, self._used = self._used, set()
        now = time.monotonic()
        # list: another thread may be adding its last one to the old set.
        due = [
            one
            for one in list(used)
            if now - self._noted.get(one, -math.inf) > USE_SECONDS
        ]
        if not due:
            return
        held = {row[0] for row in connection.execute(_USED, (due,))}
        self._used.update(held)  # the next time
        self._noted.update(dict.fromkeys(set(due) - held, now))
        for one, at in list(self._noted.items()):
            if now - at > USE_SECONDS:
                del self._noted[one]


registry = Registry()
_session = Session(name="flux registry")


def keep_up() -> None:
    """Waits for a change, half a second at most, and takes it over.

    The runtime config comes the same way. One thread repeats this for ever.
    """
    try:
        connection = _listening()
        for _ in connection.notifies(timeout=POLL_SECONDS, stop_after=1):
            break
        look(connection)
    except BaseException:
        _session.drop()
        raise


def look(connection: Connection[TupleRow]) -> None:
    """Takes over what has changed, and writes down what was used."""
    config.refresh(connection)
    registry.refresh(connection)
    registry.note_uses(connection)


_heard: Connection[TupleRow] | None = None


def _listening() -> Connection[TupleRow]:
    global _heard
    connection = _session.connection()
    if connection is not _heard:
        connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
        _heard = connection
    return connection
