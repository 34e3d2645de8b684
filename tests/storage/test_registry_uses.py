"""What the registry writes down of the use of tokens."""

import time

import pytest
from psycopg import Connection
from psycopg.rows import TupleRow

from namespaces import change
from namespaces.models import Token
from namespaces.registry import Registry
from tests.support.registries import anew, register


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
            def execute(
                self, query: object, parameters: object = None
            ) -> list[tuple[str]]:
                sent.append(parameters)
                return []

        now = time.monotonic()
        for second, expected in ((0, 1), (1, 1), (30, 1), (59, 1), (62, 2), (63, 2)):
            monkeypatch.setattr(time, "monotonic", lambda at=now + second: at)
            assert known.known(one.text.encode())
            known.note_uses(Line())  # type: ignore[arg-type]  # it is only asked to execute
            assert len(sent) == expected, second
        assert sent[0] == ([one.token.id],)

    def test_one_that_somebody_changes_is_not_waited_for_but_noted_the_next_time(
        self, known: Registry, line: Connection[TupleRow]
    ) -> None:
        free, changing = register(), register()
        known.refresh(line)
        for one in (free, changing):
            assert known.known(one.text.encode())
        with change.transaction():
            Token.objects.select_for_update().get(id=changing.token.id)
            line.execute("SET lock_timeout = '1s'")
            known.note_uses(line)
        used = Token.objects.exclude(last_used_at=None)
        assert [one.id for one in used] == [free.token.id]
        known.note_uses(line)
        assert used.all().count() == 2

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
