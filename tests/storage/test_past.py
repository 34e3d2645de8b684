"""Pages of what lies behind: by an index, each, and one that fails harms no other."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from events import ingest
from flux_project import database, pipeline
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
        while page := await reader.entities(
            interest, after=found[-1][0] if found else ""
        ):
            assert len(page) <= 2
            found += [(row.id, row.seq) for row in page]
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
    statement, parameters = past._ask_entities(interest, "")
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


def test_what_is_refused_is_told_to_who_asked_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest.commit([append("a/1"), append("b/1")])

    async def work(reader: Past) -> None:
        def broken(interest: Interest, after: str) -> Any:
            statement, parameters = ask(interest, after)
            return (statement, (*parameters[:-1], pipeline.bigint(1)[:3]))

        ask = past._ask_entities
        monkeypatch.setattr(past, "_ask_entities", broken)
        failing = asyncio.create_task(reader.entities(EVERYTHING, after=""))
        await asyncio.sleep(0)
        monkeypatch.setattr(past, "_ask_entities", ask)
        events, end = await reader.events(0, upto=2, selection=Selection())
        assert ([one.seq for one in events], end) == ([1, 2], 2)
        with pytest.raises(Refused):
            await failing

    run(work)
