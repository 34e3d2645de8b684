"""When the registry looks into the database, and what it says while it cannot."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from psycopg import Connection
from psycopg.rows import TupleRow

from flux_project import pool
from flux_project.database import DatabaseUnavailable
from namespaces import registry, tokens
from namespaces.registry import Registry, RegistryUnconfirmed
from tests.support.registries import register


class TestLooking:
    """What is unknown here may be known to the database."""

    def test_one_made_just_now_is_found(self, known: Registry, database: None) -> None:
        one = register()
        assert known.known(one.text.encode()) is None
        found = known.find(one.text.encode())
        assert found is not None
        assert found.namespace == one.namespace.name

    def test_who_is_nowhere_is_nobody(self, known: Registry) -> None:
        assert known.find(tokens.issue(tokens.new_id()).text.encode()) is None

    def test_with_the_database_away_it_says_neither_yes_nor_no(
        self, known: Registry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        @contextmanager
        def away() -> Iterator[None]:
            raise DatabaseUnavailable
            yield

        monkeypatch.setattr(pool, "connection", away)
        with pytest.raises(DatabaseUnavailable):
            known.find(tokens.issue(tokens.new_id()).text.encode())

    def test_what_was_not_confirmed_for_a_while_is_no_yes(
        self,
        known: Registry,
        line: Connection[TupleRow],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        @contextmanager
        def away() -> Iterator[None]:
            raise DatabaseUnavailable
            yield

        reachable = pool.connection
        monkeypatch.setattr(pool, "connection", away)
        known.refresh(line)
        known.confirm()  # it was, just now
        later = time.monotonic() + registry.CONFIRMED_SECONDS + 0.1
        monkeypatch.setattr(time, "monotonic", lambda: later)
        with pytest.raises(DatabaseUnavailable):
            known.confirm()
        monkeypatch.setattr(pool, "connection", reachable)
        known.confirm()  # it looks by itself
        monkeypatch.setattr(pool, "connection", away)
        known.confirm()

    def test_who_has_to_wait_for_another_look_gives_up(
        self,
        known: Registry,
        line: Connection[TupleRow],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A write holds the log's lock meanwhile."""
        monkeypatch.setattr(registry, "WAIT_SECONDS", 0.05)
        with known._lock, pytest.raises(RegistryUnconfirmed) as refused:
            known.refresh(line)
        assert refused.value.status == 503
        known.refresh(line)

    def test_a_look_that_failed_confirms_nothing(
        self, line: Connection[TupleRow]
    ) -> None:
        made = Registry()
        line.execute("BEGIN")
        with pytest.raises(Exception, match="does not exist"):
            line.execute("SELECT nothing")
        with pytest.raises(Exception, match="aborted"):
            made.refresh(line)
        line.execute("ROLLBACK")
        assert made._confirmed_at == -math.inf
