"""What was bought and what it brought, as an operator asks for it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone as clock

from flux_project import metrics, pool, purchase_lines
from namespaces import stuck, takings
from namespaces.models import ProviderEvent, Purchase
from tests.support import purchases

pytestmark = pytest.mark.usefixtures("database")

NOW = datetime(2026, 3, 31, 23, 30, tzinfo=UTC)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def elsewhere(database: None) -> Iterator[None]:
    """PostgreSQL reckons in another zone, as its configuration may say."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL TimeZone = 'Pacific/Auckland'")
        yield


def found(**more: int) -> list[tuple[str, str, int, int, int]]:
    """(month, currency, count, taken, refunded)"""
    return [
        (f"{one.begins:%Y-%m}", one.currency, one.count, one.taken, one.refunded)
        for one in takings.months(now=NOW, **more)
    ]


def test_a_month_is_one_of_utc(elsewhere: None) -> None:
    last_of_february = MARCH - timedelta(microseconds=1)
    # In Auckland it is the first of April already.
    for at in (last_of_february, MARCH, NOW):
        purchases.sold(at)
    assert found() == [
        ("2026-02", "eur", 1, 900, 0),
        ("2026-03", "eur", 2, 1800, 0),
    ]
    assert [one.begins for one in takings.months(now=NOW)][1] == MARCH


def test_an_operator_s_own_zone_does_not_move_a_purchase() -> None:
    tokyo = timezone(timedelta(hours=9))
    purchases.sold(datetime(2026, 3, 1, 3, 0, tzinfo=tokyo))
    assert found() == [("2026-02", "eur", 1, 900, 0)]
    april_there = datetime(2026, 4, 1, 3, 0, tzinfo=tokyo)
    assert takings.first_of(april_there) == MARCH


def test_twelve_months_are_looked_at_and_no_more() -> None:
    purchases.sold(datetime(2025, 4, 1, tzinfo=UTC))
    purchases.sold(datetime(2025, 3, 31, 23, 59, tzinfo=UTC))
    assert found() == [("2025-04", "eur", 1, 900, 0)]
    assert found(last=1) == []


def test_a_refund_lessens_the_month_that_was_paid() -> None:
    purchases.row(
        state=Purchase.State.REFUNDED,
        paid_at=MARCH - timedelta(days=20),
        refunded=900,
        refunded_at=NOW,
    )
    purchases.sold(MARCH, refunded=250)
    assert found() == [
        ("2026-02", "eur", 1, 900, 900),
        ("2026-03", "eur", 1, 900, 250),
    ]
    assert [one.kept for one in takings.months(now=NOW)] == [0, 650]


def test_currencies_and_providers_are_never_added_up() -> None:
    for given in (
        {"currency": "usd"},
        {"currency": "eur"},
        {"provider": "demo"},
        {"provider": "free", "amount": 0},
    ):
        purchases.sold(MARCH, **given)
    months = takings.months(now=NOW)
    assert [(one.provider, one.currency, one.taken) for one in months] == [
        ("demo", "eur", 900),
        ("free", "eur", 0),
        ("stripe", "eur", 900),
        ("stripe", "usd", 900),
    ]
    assert purchase_lines.sums(months) == ["9.00 EUR", "9.00 USD"]
    books = purchase_lines.books(months, NOW)
    assert [book.name for book in books] == [
        "stripe, EUR",
        "stripe, USD",
        "demo, EUR",
        "free, EUR",
    ]
    assert [len(book.rows) for book in books] == [12] * 4


def test_what_was_never_paid_brings_nothing() -> None:
    purchases.row()
    purchases.row(state=Purchase.State.EXPIRED)
    assert found() == []


def test_calls_that_wait_are_shown_with_the_purchase_they_name() -> None:
    ours = purchases.row(checkout_ref="cs_1")
    told: dict[str, dict[str, Any]] = {
        "evt_by_id": {"order_id": ours.id},
        "evt_by_checkout": {"checkout_ref": "cs_1"},
        "evt_handled": {"purchase": ours, "handled_at": NOW},
        "evt_of_nothing": {"checkout_ref": "cs_1", "handled_at": NOW},
        "evt_other": {"order_id": "pur_x"},
        "evt_nobody": {},
    }
    for event_id, given in told.items():
        fields = {"provider": "stripe", "kind": "x", "made_at": NOW, **given}
        ProviderEvent.objects.create(id=event_id, **fields)
    ids = {event.id for event in takings.events(ours)}
    assert ids == {"evt_by_id", "evt_by_checkout", "evt_handled"}
    assert "evt_nobody" not in {event.id for event in takings.events(purchases.row())}


def told() -> float:
    """The gauge, after a look of a process that has just begun."""
    with pool.connection() as opened:
        stuck.Watch().keep_up(opened)
    value = metrics.REGISTRY.get_sample_value("flux_purchases_stuck")
    assert value is not None
    return value


def test_what_is_stuck_is_measured() -> None:
    assert told() == 0
    ago = clock.now() - timedelta(minutes=2)
    purchases.sold(clock.now())
    assert not takings.is_stuck(purchases.sold(ago, disputed_at=ago))
    assert told() == 0
    late = purchases.sold(ago)
    assert takings.is_stuck(late)
    assert told() == 1
    at = clock.now() - timedelta(minutes=6)
    fields = {"provider": "stripe", "kind": "x", "made_at": at, "received_at": at}
    ProviderEvent.objects.create(id="evt_1", **fields)
    ProviderEvent.objects.create(id="evt_2", handled_at=at, **fields)
    assert told() == 2


def test_a_process_looks_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = stuck.Watch()
    with pool.connection() as opened:
        watch.keep_up(opened)
        purchases.sold(clock.now() - timedelta(minutes=2))
        watch.keep_up(opened)
        assert metrics.REGISTRY.get_sample_value("flux_purchases_stuck") == 0
        monkeypatch.setattr(watch, "_look_at", 0.0)
        watch.keep_up(opened)
        assert metrics.REGISTRY.get_sample_value("flux_purchases_stuck") == 1


def fill() -> None:
    """Many purchases, most of them done with; PostgreSQL knows how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO namespaces_purchase (id, claim_digest, state, email, network,"
            " provider, amount, currency, expires_at, created_at, paid_at)"
            " SELECT 'pur_' || n, '', CASE WHEN n %% 500 = 0 THEN 'paid'"
            " ELSE 'refunded' END, n || '@example.org', '', 'stripe', 900, 'eur',"
            " now(), now() - n * interval '1 hour', now() - n * interval '1 hour'"
            " FROM generate_series(1, %s) AS n",
            [20_000],
        )
        cursor.execute("ANALYZE namespaces_purchase")


def plan(query: QuerySet[Purchase]) -> str:
    return query.explain()


def test_each_list_is_found_by_an_index() -> None:
    fill()
    newest = Purchase.objects.order_by("-created_at", "-id")
    month = clock.now() - timedelta(days=30)
    for query, index in (
        (newest[:51], "namespaces_purchase_made"),
        (newest.filter(email="7@example.org")[:51], "namespaces_purchase_email"),
        (newest.filter(takings.attention())[:51], "namespaces_purchase_odd"),
        # The overview counts them.
        (newest.exclude(trouble="").exclude(state="paid"), "namespaces_purchase_odd"),
        (Purchase.objects.filter(paid_at__gte=month), "namespaces_purchase_taken"),
    ):
        assert index in plan(query), plan(query)
        assert "Seq Scan" not in plan(query)
