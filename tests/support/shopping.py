"""The shop's flows by themselves, for the storage tests: jobs are rows there, which a
test does in the order and as often as it likes."""

import json
from typing import Any

import pytest
from django.db import connection

from namespaces import purchasing, settling
from namespaces.billing import chosen
from namespaces.models import Purchase
from namespaces.money import Price
from tests.support.till import Till


def till(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Till:
    """A provider that says what the test tells it to, for a price of 9.00 USD."""
    made = Till()
    settings.FLUX_PRICE = Price(900, "usd")
    settings.FLUX_BILLING = made.name
    monkeypatch.setattr(chosen, "provider", lambda: made)
    monkeypatch.setattr(chosen, "named", lambda name: made)
    return made


def jobs(task: str) -> list[dict[str, Any]]:
    """The arguments of the jobs of a task that wait, the oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT args::text FROM procrastinate_jobs"
            " WHERE task_name = %s AND status = 'todo' ORDER BY id",
            [f"namespaces.{task}"],
        )
        return [json.loads(row[0]) for row in cursor.fetchall()]


def begun(email: str = "ada@example.org") -> Purchase:
    """Nobody has paid yet."""
    made = purchasing.begin(email, base_url="http://flux.example", address="192.0.2.1")
    return made.purchase


def now(purchase: Purchase) -> Purchase:
    """As it stands in the table."""
    return Purchase.objects.select_related("namespace").get(id=purchase.id)


def paid(till: Till) -> Purchase:
    purchase = begun()
    till.take(purchase.id)
    settling.settle(purchase.id)
    return now(purchase)


def provisioned(till: Till) -> Purchase:
    purchase = paid(till)
    settling.provision(purchase.id)
    return now(purchase)
