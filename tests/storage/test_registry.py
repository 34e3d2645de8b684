"""The registry in a process's memory: always the same as one that was read anew."""

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection as django
from django.db import connections
from psycopg import Connection
from psycopg.rows import TupleRow

from events import recheck
from flux_project import pool
from flux_project.database import DatabaseUnavailable, Session
from namespaces import (
    audit,
    issuing,
    registry,
    tenancy,
    tokens,
)
from namespaces.access import UnusableToken
from namespaces.grants import ALL_SCOPES, Grant
from namespaces.issuing import Made
from namespaces.registry import Registry, RegistryUnconfirmed
from namespaces.requests import Rotation, TokenWanted
from namespaces.tenancy import Registered
from tests.support.said import append
from tests.support.tenants import fresh_name

ACTOR = audit.Actor("a test", "command")
WANTED = TokenWanted("a test's", ALL_SCOPES)


@pytest.fixture
def line(database: None) -> Iterator[Connection[TupleRow]]:
    session = Session(name="a test's registry")
    yield session.connection()
    session.drop()


@pytest.fixture
def known(line: Connection[TupleRow]) -> Registry:
    made = Registry()
    made.refresh(line)
    return made


def register() -> Registered:
    return tenancy.register(fresh_name(), ACTOR)


def make(name: str, wanted: TokenWanted = WANTED) -> Made:
    return issuing.make(name, wanted, ACTOR)


def held(one: Registry) -> dict[str, set[tuple[Any, ...]]]:
    """All that it knows, as values."""
    return {
        token_id: {
            (g.digest, g.namespace, g.scopes, g.is_suspended, g.until) for g in s
        }
        for token_id, s in one._grants.items()
    }


def anew(line: Connection[TupleRow]) -> Registry:
    made = Registry()
    made.refresh(line)
    return made


def do(query: str) -> None:
    with django.cursor() as cursor:
        cursor.execute(query)


def test_at_first_it_knows_nothing_and_says_yes_to_nobody(database: None) -> None:
    made = Registry()
    assert made.known(tokens.issue(tokens.new_id()).text.encode()) is None
    assert made.find(tokens.issue(tokens.new_id()).text.encode()) is None


def test_what_it_learnt_of_a_change_is_what_it_would_read_anew(
    known: Registry, line: Connection[TupleRow]
) -> None:
    one, other = register(), register()
    name = one.namespace.name
    kept = make(name)
    changes: list[Callable[[], object]] = [
        lambda: make(name),
        lambda: issuing.rotate(name, kept.token.id, Rotation(600), ACTOR),
        lambda: issuing.revoke(name, one.token.id, ACTOR),
        lambda: tenancy.suspend(name, ACTOR),
        lambda: make(name),
        lambda: tenancy.resume(name, ACTOR),
        lambda: issuing.rotate(name, kept.token.id, Rotation(), ACTOR),
        lambda: tenancy.delete(other.namespace.name, ACTOR),
        register,
        lambda: tenancy.delete(name, ACTOR),
    ]
    for change in changes:
        before = known.version
        change()
        assert known.version == before
        known.refresh(line)
        assert known.version > before
        assert held(known) == held(anew(line))
    assert one.token.id not in held(known), "what has ended takes no memory"


def test_only_what_has_changed_is_read(
    known: Registry, line: Connection[TupleRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = register()
    for _ in range(5):
        make(one.namespace.name)
    known.refresh(line)
    taken: list[int] = []
    take = known._take

    def counted(rows: Any) -> None:
        rows = list(rows)
        taken.append(len(rows))
        take(rows)

    monkeypatch.setattr(known, "_take", counted)
    known.refresh(line)
    assert taken == [], "nothing has changed"
    make(one.namespace.name)
    known.refresh(line)
    register()
    known.refresh(line)
    tenancy.suspend(one.namespace.name, ACTOR)
    known.refresh(line)
    assert taken == [1, 1, 7], "all tokens of a namespace change with it"


def test_a_change_of_nothing_that_it_holds_is_no_change(
    known: Registry, line: Connection[TupleRow]
) -> None:
    one = register()
    known.refresh(line)
    grant = known.known(one.text.encode())
    register()
    known.refresh(line)
    assert known.known(one.text.encode()) is grant, (
        "so that what was checked stays checked"
    )


def test_another_log_is_another_registry(
    known: Registry, line: Connection[TupleRow]
) -> None:
    one = register()
    known.refresh(line)
    assert known.known(one.text.encode())
    do("DELETE FROM namespaces_secret")
    do("DELETE FROM namespaces_token")
    do("UPDATE events_log SET log_id = gen_random_uuid()")
    known.refresh(line)
    assert held(known) == {}
    assert known.known(one.text.encode()) is None
    other = register()
    known.refresh(line)
    assert known.known(other.text.encode())


def test_a_restored_registry_has_an_older_version_and_holds(
    known: Registry, line: Connection[TupleRow]
) -> None:
    one = register()
    other = register()
    known.refresh(line)
    tenancy.delete(other.namespace.name, ACTOR)
    known.refresh(line)
    do("UPDATE namespaces_namespace SET deleted_at = NULL, version = 2")
    do("UPDATE events_log SET registry_version = 2")
    known.refresh(line)
    assert known.version == 2
    assert known.known(one.text.encode())
    assert known.known(other.text.encode())


def test_versions_become_visible_in_their_order(
    known: Registry, line: Connection[TupleRow]
) -> None:
    """Many change it at once, and one looks all the time: it misses nothing."""
    names = [register().namespace.name for _ in range(4)]

    def change(name: str) -> None:
        try:
            for number in range(12):
                made = make(name)
                if number % 3 == 0:
                    issuing.revoke(name, made.token.id, ACTOR)
                if number % 3 == 1:
                    issuing.rotate(name, made.token.id, Rotation(60), ACTOR)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(names)) as threads:
        running = [threads.submit(change, name) for name in names]
        while not all(one.done() for one in running):
            known.refresh(line)
            assert held(known).keys() <= held(anew(line)).keys() | _ended(line)
        for one in running:
            one.result()
    known.refresh(line)
    assert held(known) == held(anew(line))


def _ended(line: Connection[TupleRow]) -> set[str]:
    rows = line.execute("SELECT id FROM namespaces_token WHERE revoked_at IS NOT NULL")
    return {token_id for (token_id,) in rows}


class TestSecrets:
    """What is known of a token's text."""

    def test_the_right_one_and_no_other(
        self, known: Registry, line: Connection[TupleRow]
    ) -> None:
        one = register()
        known.refresh(line)
        found = known.known(one.text.encode())
        assert found is not None
        assert (found.token_id, found.namespace) == (one.token.id, one.namespace.name)
        forged = tokens.issue(one.token.id).text
        for text in (forged, one.text[:-1], one.text + "0", "", "flux_", "x" * 10_000):
            assert known.known(text.encode()) is None

    def test_the_time_it_takes_says_nothing_of_the_secret(
        self,
        known: Registry,
        line: Connection[TupleRow],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        one = register()
        known.refresh(line)
        compared: list[tuple[bytes, bytes]] = []

        class Watched:
            @staticmethod
            def compare_digest(left: bytes, right: bytes) -> bool:
                compared.append((left, right))
                return left == right

        monkeypatch.setattr(registry, "hmac", Watched)
        forged = tokens.issue(one.token.id)
        assert known.known(forged.text.encode()) is None
        assert compared == [(tokens.digest_of(one.text), forged.digest)]

    def test_it_ends_by_itself(
        self,
        known: Registry,
        line: Connection[TupleRow],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        one = register()
        do("UPDATE namespaces_token SET expires_at = now() + interval '1 hour'")
        do("UPDATE namespaces_token SET version = 2")
        do("UPDATE events_log SET registry_version = 2")
        known.refresh(line)
        assert known.known(one.text.encode())
        later = time.time() + 3_601
        monkeypatch.setattr(time, "time", lambda: later)
        assert known.known(one.text.encode()) is None

    def test_nothing_of_it_is_stored_but_its_digest(
        self, line: Connection[TupleRow]
    ) -> None:
        one = register()
        secret = one.text[16:]
        tables = line.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_name LIKE 'namespaces_%'"
        ).fetchall()
        assert len(tables) > 5
        for (table,) in tables:
            rows = line.execute(f"SELECT t::text FROM {table} AS t".encode()).fetchall()
            assert secret not in repr(rows)
        digests = line.execute("SELECT digest FROM namespaces_secret").fetchall()
        assert (tokens.digest_of(one.text),) in digests


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


class TestUnderTheLock:
    """A transaction that began before a change, and reads it when it has the lock."""

    @pytest.fixture
    def one(self, database: None) -> Registered:
        return register()

    @pytest.fixture
    def ours(
        self, line: Connection[TupleRow], monkeypatch: pytest.MonkeyPatch
    ) -> Registry:
        """This process's, as a write sees it."""
        made = Registry()
        monkeypatch.setattr(recheck, "registry", made)
        return made

    def _grant(self, ours: Registry, line: Connection[TupleRow], text: str) -> Grant:
        ours.refresh(line)
        found = ours.known(text.encode())
        assert found is not None
        return found

    @pytest.mark.parametrize("how", ["revoke", "rotate", "delete", "suspend"])
    def test_it_writes_nothing_with_what_has_ended(
        self, ours: Registry, one: Registered, line: Connection[TupleRow], how: str
    ) -> None:
        name, token_id = one.namespace.name, one.token.id
        grant = self._grant(ours, line, one.text)
        command = append(f"{name}/x")
        assert recheck.refusal(command, grant) is None
        line.execute("BEGIN")
        line.execute("SELECT now()")
        if how == "revoke":
            issuing.revoke(name, token_id, ACTOR)
        elif how == "rotate":
            issuing.rotate(name, token_id, Rotation(), ACTOR)
        elif how == "delete":
            tenancy.delete(name, ACTOR)
        else:
            tenancy.suspend(name, ACTOR)
        version = ours.version
        ours.refresh(line)
        line.execute("ROLLBACK")
        assert ours.version > version
        assert not recheck.holds(grant, version=ours.version)
        refused = recheck.refusal(command, grant)
        assert refused is not None
        expected = "namespace_suspended" if how == "suspend" else UnusableToken.code
        assert refused.code == expected

    def test_a_rotation_with_an_overlap_changes_nothing_for_who_writes(
        self, ours: Registry, one: Registered, line: Connection[TupleRow]
    ) -> None:
        grant = self._grant(ours, line, one.text)
        issuing.rotate(one.namespace.name, one.token.id, Rotation(60), ACTOR)
        ours.refresh(line)
        command = append(f"{one.namespace.name}/x")
        assert recheck.refusal(command, grant) is None


class TestUses:
    """When a token was used last, written once a minute at most."""

    def _last_used(self, line: Connection[TupleRow], token_id: str) -> object:
        query = "SELECT last_used_at FROM namespaces_token WHERE id = %s"
        row = line.execute(query, (token_id,)).fetchone()
        assert row is not None
        return row[0]

    def test_a_use_is_written_with_the_next_look(
        self, known: Registry, line: Connection[TupleRow]
    ) -> None:
        one = register()
        known.refresh(line)
        known.note_uses(line)
        assert self._last_used(line, one.token.id) is None
        assert known.known(one.text.encode())
        known.note_uses(line)
        assert self._last_used(line, one.token.id) is not None

    def test_no_statement_is_sent_for_a_second_use_within_a_minute(
        self,
        known: Registry,
        line: Connection[TupleRow],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        one = register()
        known.refresh(line)
        sent: list[object] = []

        class Line:
            def execute(self, query: object, parameters: object = None) -> None:
                sent.append(parameters)

        now = time.monotonic()
        for second, expected in ((0, 1), (1, 1), (30, 1), (59, 1), (62, 2), (63, 2)):
            monkeypatch.setattr(time, "monotonic", lambda at=now + second: at)
            assert known.known(one.text.encode())
            known.note_uses(Line())  # type: ignore[arg-type]  # it is only asked to execute
            assert len(sent) == expected, second
        assert sent[0] == ([one.token.id],)

    def test_what_another_process_wrote_just_now_is_not_written_again(
        self, known: Registry, line: Connection[TupleRow]
    ) -> None:
        one = register()
        other = anew(line)
        known.refresh(line)
        for process in (known, other):
            assert process.known(one.text.encode())
        known.note_uses(line)
        first = self._last_used(line, one.token.id)
        other.note_uses(line)
        assert self._last_used(line, one.token.id) == first

    def test_what_is_remembered_of_uses_is_forgotten_again(
        self,
        known: Registry,
        line: Connection[TupleRow],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        first, second = register(), register()
        known.refresh(line)
        assert known.known(first.text.encode())
        known.note_uses(line)
        later = time.monotonic() + 61
        monkeypatch.setattr(time, "monotonic", lambda: later)
        assert known.known(second.text.encode())
        known.note_uses(line)
        assert known._noted.keys() == {second.token.id}
