"""Purchases for tests of those who look at them: made in this process, of the demo.

Invariant: what is `paid` and further was paid on the demo's checkout and given by the
flow itself; `row` alone writes what the flow would not.
"""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from namespaces import purchasing, settling, tokens
from namespaces.billing import demo
from namespaces.models import Purchase
from namespaces.money import Price
from namespaces.purchasing import Begun

EMAIL = "ada@example.org"
ADDRESS = "192.0.2.9"
LIST = "/admin/namespaces/purchase/"
_PRICE = 900


def sell(settings: Any) -> None:
    """From now on, namespaces are sold by the demo; settings: pytest-django's."""
    settings.FLUX_AUTH_ENABLED = True
    settings.FLUX_BILLING = "demo"
    settings.FLUX_PRICE = Price(_PRICE, "usd")
    settings.DEBUG = True  # the demo gives nothing without


def of(purchase: Purchase, what: str = "change") -> str:
    """The address of one of its pages in the admin."""
    return f"{LIST}{purchase.id}/{what}/"


def begun(email: str = EMAIL) -> Begun:
    """Of what the settings sell: it has FLUX_BILLING=demo."""
    return purchasing.begin(email, base_url="http://flux.test", address=ADDRESS)


def paid(email: str = EMAIL) -> Purchase:
    """Paid; its job was not done yet, so it has no namespace."""
    purchase = begun(email).purchase
    settling.note("demo", demo.call(purchase.id, demo.PAID))
    settling.settle(purchase.id)
    return again(purchase)


def provisioned(email: str = EMAIL) -> Purchase:
    purchase = paid(email)
    settling.provision(purchase.id)
    return again(purchase)


def again(purchase: Purchase) -> Purchase:
    """As the table has it now."""
    return Purchase.objects.select_related("namespace").get(id=purchase.id)


def since(purchase: Purchase, **ago: float) -> Purchase:
    """As if it had been paid so long ago: `since(purchase, minutes=2)`."""
    at = timezone.now() - timedelta(**ago)
    Purchase.objects.filter(id=purchase.id).update(paid_at=at)
    return again(purchase)


def row(
    *,
    provider: str = "stripe",
    amount: int = _PRICE,
    currency: str = "eur",
    **more: Any,
) -> Purchase:
    """A row as it is told, with all that nobody asks about filled in."""
    fields: dict[str, Any] = {
        "id": f"pur_{tokens.random_text(16)}",
        "claim_digest": tokens.digest_of("claim_x"),
        "email": EMAIL,
        "network": ADDRESS,
        "expires_at": timezone.now() + timedelta(hours=1),
    }
    given = {"provider": provider, "amount": amount, "currency": currency}
    return Purchase.objects.create(**fields | given | more)


def sold(at: datetime, **more: Any) -> Purchase:
    """Paid at this moment, so far as revenue goes."""
    return row(state=Purchase.State.PAID, paid_at=at, **more)
