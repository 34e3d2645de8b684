"""The demo's checkout gives, as long as it is one, and never beyond."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from namespaces import settling
from namespaces.billing import demo
from namespaces.models import Purchase
from namespaces.purchasing import order_of

PROVIDER = demo.provider()


@pytest.fixture
def purchase(database: None, settings: Any) -> Purchase:
    settings.DEBUG = True
    return Purchase.objects.create(
        id="pur_of_the_demo",
        claim_digest=b"",
        email="ada@example.org",
        network="",
        provider="demo",
        amount=900,
        currency="usd",
        checkout_ref="demo_pur_of_the_demo",
        expires_at=timezone.now() + timedelta(hours=1),
    )


def status(purchase: Purchase) -> str:
    return PROVIDER.look(order_of(purchase)).status


def test_it_is_open_until_it_is_pressed(purchase: Purchase) -> None:
    assert status(purchase) == "open"
    for _ in range(2):
        settling.note("demo", demo.call(purchase.id, demo.PAID))
    assert status(purchase) == "paid"
    for _ in range(2):
        PROVIDER.refund(order_of(purchase))
    seen = PROVIDER.look(order_of(purchase))
    assert (seen.status, seen.refunded) == ("refunded", 900)


def test_it_ends_like_any_other(purchase: Purchase) -> None:
    Purchase.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert status(purchase) == "closed"


def test_a_server_that_has_become_a_real_one_gives_nothing_more(
    purchase: Purchase, settings: Any
) -> None:
    settling.note("demo", demo.call(purchase.id, demo.PAID))
    settings.DEBUG = False
    assert status(purchase) == "closed"
    settling.settle(purchase.id)
    assert Purchase.objects.get().state == Purchase.State.EXPIRED
