"""A grant that was good when a write began, looked at again under the log's lock."""

import pytest
from psycopg import Connection
from psycopg.rows import TupleRow

from events import recheck
from namespaces import issuing, tenancy
from namespaces.access import UnusableToken
from namespaces.grants import Grant
from namespaces.registry import Registry
from namespaces.requests import Rotation
from namespaces.tenancy import Registered
from tests.support.registries import ACTOR, register
from tests.support.said import append


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
