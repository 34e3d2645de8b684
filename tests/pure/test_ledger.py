"""What a group takes from its namespaces' buckets; who is refused without asking."""

import math
import time
from collections.abc import Iterator

import pytest

from events import envelope, overdrawn
from events.commands import Append, Command, Delete
from flux_project.errors import FluxError
from namespaces import bucket, config, levels
from namespaces.bucket import Level, NamespaceRateLimited
from namespaces.config import Config
from namespaces.grants import ALL_SCOPES, Grant, held
from namespaces.ledger import Ledger

NAME = "dawn-coral"
GRANT = Grant("id", b"", NAME, None, held(ALL_SCOPES), False, math.inf)


@pytest.fixture(autouse=True)
def nothing_is_known() -> Iterator[None]:
    yield
    levels.known.clear()
    levels.overdrawn.clear()
    levels.take_refusals(10)


def allow(monkeypatch: pytest.MonkeyPatch, a_minute: int | None) -> None:
    """Puts a limit in force; None: there is none."""
    current = Config(
        rate_limit_enabled=a_minute is not None,
        rate_limit_per_namespace_per_minute=a_minute or 1,
    )
    monkeypatch.setattr(config, "_current", current)


def level(events: int) -> Level:
    return Level(events * bucket.EVENT, time.monotonic())


def append(event_id: str | None = None, *, grant: Grant | None = GRANT) -> Command:
    text = b'{"stream":"s","source":"s","payload":{"entity_id":"dawn-coral/a",'
    given = b"" if event_id is None else b',"eventId":"%b"' % event_id.encode()
    return Append(envelope.parse(text + b'"properties":{}}%b}' % given), grant)


def test_a_ledger_gives_what_is_left_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allow(monkeypatch, 10)
    ledger = Ledger({NAME: level(7)})
    assert ledger.take(NAME, 2) is None
    assert isinstance(ledger.take(NAME, 2), NamespaceRateLimited)
    assert ledger.take(NAME, 1) is None
    assert ledger.spends == {NAME: 3}
    assert ledger.refused == {NAME: 2}


def test_what_is_on_its_way_counts_as_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, 10)
    ledger = Ledger({NAME: level(0)}, under_way={NAME: 9})
    assert ledger.take(NAME, 1) is None
    assert ledger.take(NAME, 1) is not None


def test_the_limit_is_that_of_the_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group is begun when the one before it is sent, which may be long before."""
    allow(monkeypatch, None)
    ledger = Ledger({NAME: level(0)})
    allow(monkeypatch, 1)
    assert ledger.take(NAME, 1) is None
    assert ledger.take(NAME, 1) is not None
    allow(monkeypatch, None)
    assert ledger.take(NAME, 1) is not None


def test_an_unknown_namespace_is_asked_for_where_there_is_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allow(monkeypatch, 10)
    assert not Ledger({}).knows(NAME)
    allow(monkeypatch, None)
    assert Ledger({}).knows(NAME)


def refused(outcomes: list[object] | None) -> bool:
    return outcomes is not None and all(
        isinstance(outcome, FluxError) for outcome in outcomes
    )


def test_who_is_overdrawn_is_told_without_asking(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allow(monkeypatch, 10)
    levels.learn({NAME: level(10)})
    assert overdrawn.outcomes([append()]) is None  # nobody was refused yet
    assert Ledger(levels.known).take(NAME, 1) is not None
    assert refused(overdrawn.outcomes([append(), append()]))  # type: ignore[arg-type]  # errors are outcomes


@pytest.mark.parametrize(
    "command", [append("given"), append(grant=None), Delete("dawn-coral/a", GRANT)]
)
def test_what_may_cost_nothing_is_decided(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A duplicate, a deletion of nothing, and who has no limit."""
    allow(monkeypatch, 10)
    levels.learn({NAME: level(10)})
    levels.overdrawn.add(NAME)
    assert overdrawn.outcomes([append(), command]) is None


def test_who_has_something_left_again_is_decided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allow(monkeypatch, 10)
    levels.learn({NAME: level(9)})
    levels.overdrawn.add(NAME)
    assert overdrawn.outcomes([append()]) is None
    assert not levels.overdrawn


def test_the_headers_of_one_moment_are_made_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allow(monkeypatch, 60)
    levels.learn({NAME: level(10)})
    said = levels.headers(NAME)
    assert dict(said) == {
        "RateLimit-Policy": '"namespace";q=60;w=60',
        "RateLimit": '"namespace";r=50;t=10',
    }
    assert levels.headers(NAME) is said
    levels.learn({NAME: level(60)})
    assert dict(levels.headers(NAME))["RateLimit"] == '"namespace";r=0;t=60'
    allow(monkeypatch, None)
    assert levels.headers(NAME) == ()
