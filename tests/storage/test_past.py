"""Pages of what lies behind: by an index, each, and one that fails harms no other."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from events import ingest
from flux_project import database, pipeline
from flux_project.database import DatabaseUnavailable
from flux_project.looped import Refused
from flux_project.pipeline import Statement
from state import past
from state.interest import EVERYTHING, Interest, Kind
from state.past import Past
from state.selection import Selection
from tests.support.said import World, append

INTERESTS = [
    EVERYTHING,
    Interest(Kind.ENTITY, "b/1"),
    Interest(Kind.PREFIX, "b/"),
    Interest(Kind.NAMESPACE, "b"),
    Interest(Kind.NAMESPACE, "default"),
]
IDS = ["a/1", "a/2", "b/1", "b/2", "default/x", "lone", "é"]


def run(work: Callable[[Past], Any]) -> None:
    async def main() -> None:
        reader = Past(asyncio.get_running_loop())
        try:
            await asyncio.wait_for(work(reader), 60)
        finally:
            reader.close()

    uvloop.run(main())


@pytest.mark.parametrize("interest", INTERESTS, ids=str)
def test_pages_make_up_what_was_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch, interest: Interest
) -> None:
    monkeypatch.setattr(past, "PAGE_ROWS", 2)
    ingest.commit([append(entity_id, {"of": entity_id}) for entity_id in IDS])
    seqs = dict(zip(IDS, range(1, len(IDS) + 1), strict=True))

    async def work(reader: Past) -> None:
        found: list[tuple[str, int]] = []
        is_last = False
        while not is_last:
            after = found[-1][0] if found else ""
            page, is_last = await reader.entities(interest, after=after)
            assert len(page) <= 2
            found += [(row.id, row.seq) for row in page]
        assert len(page) < 2
        namespaces = {name: name.partition("/") for name in IDS}
        assert found == [
            (name, seqs[name])
            for name in sorted(IDS)
            if interest.matches(
                name, namespaces[name][0] if namespaces[name][1] else "default"
            )
        ]

    run(work)


@pytest.mark.parametrize("interest", INTERESTS, ids=str)
def test_a_page_is_found_by_an_index(world: World, interest: Interest) -> None:
    """Whatever the table's size: one namespace's page must not read the others."""
    statement, parameters = past._ask_entities(interest, "", 1_000)
    with database.connect(name="a test explains", extra=database.BY_KEY) as connection:
        plan = " ".join(
            str(row[0])
            for row in connection.execute(
                b"EXPLAIN EXECUTE x(%s)" % _literals(connection, statement, parameters)
            )
        )
    is_default = interest.value == "default"
    assert ("state_entity_default" if is_default else "state_entity_pkey") in plan
    assert "Seq Scan" not in plan
    if interest.kind is Kind.PREFIX:
        # With its end, too: behind a small range there may be millions.
        assert re.search(r"Index Cond: .*id < ", plan)


def _literals(connection: Any, statement: Statement, parameters: Any) -> bytes:
    """Prepares the statement as `x`; its parameters as literals of no type."""
    connection.execute(b"PREPARE x AS " + statement.sql)
    names = connection.execute(
        "SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = 'x'"
    ).fetchone()[0]
    readers: dict[str, Callable[[bytes], str]] = {
        "text": lambda value: "'" + value.decode() + "'",
        "integer": lambda value: str(pipeline.int4(value)),
        "bigint": lambda value: str(pipeline.int8(value)),
        "boolean": lambda value: "true" if value == b"\1" else "false",
    }
    found = [
        "NULL" if value is None else readers[name](value)
        for name, value in zip(names, parameters, strict=True)
    ]
    return ", ".join(found).encode()


def test_a_page_is_bounded_in_bytes(world: World) -> None:
    ingest.commit([append(f"a/{n}", {"text": "x" * 900}) for n in range(5)])
    sizes: list[tuple[int, bool]] = []

    async def work(reader: Past) -> None:
        after, is_last = "", False
        while not is_last:
            page, is_last = await reader.entities(
                EVERYTHING, after=after, page_bytes=1_500
            )
            sizes.append((len(page), is_last))
            after = page[-1].id

    run(work)
    assert sizes == [(2, False), (2, False), (1, True)]


def test_an_entity_that_is_not_there_is_a_last_page(world: World) -> None:
    async def work(reader: Past) -> None:
        found = await reader.entities(Interest(Kind.ENTITY, "a/1"), after="")
        assert found == ([], True)

    run(work)


class Lock:
    """Holds the log, so that whoever reads it waits."""

    def __init__(self) -> None:
        self.connection = database.connect(name="a test locks", extra=database.BY_KEY)
        self.connection.execute("BEGIN")
        self.connection.execute("LOCK TABLE events_event IN ACCESS EXCLUSIVE MODE")

    def waiting(self) -> list[int]:
        """PostgreSQL's processes that wait for it."""
        found = self.connection.execute(
            "SELECT pid FROM pg_locks"
            " WHERE NOT granted AND relation = 'events_event'::regclass"
        )
        return [int(row[0]) for row in found]

    def release(self) -> None:
        self.connection.close()


async def until_waiting(lock: Lock, count: int) -> list[int]:
    for _ in range(6_000):
        found = lock.waiting()
        if len(found) == count:
            return found
        await asyncio.sleep(0.01)
    raise TimeoutError


def test_however_many_replay_the_others_wait_for_none_of_them(world: World) -> None:
    ingest.commit([append(entity_id) for entity_id in IDS])

    async def work(reader: Past) -> None:
        # Connected from here on.
        await reader.events(0, upto=7, selection=Selection(), page_bytes=1)
        await reader.entities(EVERYTHING, after="")
        lock = Lock()
        try:
            replays = [
                asyncio.create_task(
                    reader.events(
                        0, upto=7, selection=Selection(), page_bytes=page_bytes
                    )
                )
                for page_bytes in range(1, 50)
            ]
            await until_waiting(lock, 1)
            rows, _ = await reader.entities(EVERYTHING, after="")
            assert len(rows) == len(IDS)
            assert not any(task.done() for task in replays)
        finally:
            lock.release()
        assert all(events for events, _ in await asyncio.gather(*replays))

    run(work)


def test_what_is_refused_for_a_passing_reason_is_asked_again(world: World) -> None:
    ingest.commit([append("a/1")])

    async def work(reader: Past) -> None:
        await reader.missed(0, upto=1, page_bytes=1)  # connected from here on
        lock = Lock()
        try:
            asked = asyncio.create_task(reader.missed(0, upto=1, page_bytes=1))
            for _ in range(past.MOST_REFUSALS - 1):
                pids = await until_waiting(lock, 1)
                lock.connection.execute("SELECT pg_cancel_backend(%s)", pids)
                await until_waiting(lock, 0)
        finally:
            lock.release()
        events, upto = await asked
        assert ([one.seq for one in events], upto) == ([1], 1)

    run(work)


def test_who_asks_when_it_is_closed_is_refused(world: World) -> None:
    """Nobody connects again for who is gone."""

    async def work(reader: Past) -> None:
        await reader.missed(0, upto=1, page_bytes=1)
        lock = Lock()
        try:
            asked = asyncio.create_task(reader.missed(0, upto=1, page_bytes=1))
            await until_waiting(lock, 1)
            reader.close()
            with pytest.raises(DatabaseUnavailable):
                await asked
        finally:
            lock.release()

    run(work)


def test_what_is_refused_is_told_to_who_asked_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does anybody wait until it is sure that it would be refused again."""
    monkeypatch.setattr(past, "AGAIN_SECONDS", 0.2)
    ingest.commit([append("a/1"), append("b/1")])

    async def work(reader: Past) -> None:
        def broken(interest: Interest, after: str, page_bytes: int) -> Any:
            statement, parameters = ask(interest, after, page_bytes)
            return (statement, (*parameters[:-1], pipeline.bigint(1)[:3]))

        ask = past._ask_entities
        monkeypatch.setattr(past, "_ask_entities", broken)
        failing = asyncio.create_task(reader.entities(EVERYTHING, after=""))
        await asyncio.sleep(0)
        monkeypatch.setattr(past, "_ask_entities", ask)
        events, end = await reader.missed(0, upto=2, page_bytes=past.LARGE_PAGE_BYTES)
        assert ([one.seq for one in events], end) == ([1, 2], 2)
        assert not failing.done()
        with pytest.raises(Refused):
            await failing

    run(work)
