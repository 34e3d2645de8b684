"""The registry in a process's memory: always the same as one that was read anew."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection as django
from django.db import connections
from psycopg import Connection
from psycopg.rows import TupleRow

from namespaces import issuing, registry, tenancy, tokens
from namespaces.grants import ALL_SCOPES
from namespaces.issuing import Made
from namespaces.registry import Registry
from namespaces.requests import Rotation, TokenWanted
from tests.support.registries import ACTOR, anew, register

WANTED = TokenWanted("a test's", ALL_SCOPES)


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
