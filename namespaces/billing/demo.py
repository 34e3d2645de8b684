"""A checkout of our own, on which no money moves, for trying out how buying goes.

What a buyer presses there is kept as an event of this provider, and asked for like any
other's. Invariant: refused unless DEBUG (`flux_project.selling`).
"""

import time
from urllib.parse import urljoin

from django.conf import settings
from django.utils import timezone

from namespaces.billing import (
    Call,
    Checkout,
    InvalidSignature,
    Order,
    Payment,
    Provider,
    Status,
)
from namespaces.models import ProviderEvent, Purchase

HOUR_SECONDS = 3_600
PAID, REFUNDED = "demo.paid", "demo.refunded"


class Demo:
    name = "demo"

    def open(self, order: Order, *, done_url: str, back_url: str) -> Checkout:
        page = urljoin(done_url, f"/register/demo/{order.id}")
        ref = f"demo_{order.id}"
        return Checkout(ref=ref, url=page, expires_at=time.time() + HOUR_SECONDS)

    def look(self, order: Order) -> Payment:
        kinds = _kinds(order)
        return Payment(
            _status(kinds, is_open=_is_open(order)),
            order.amount,
            order.currency,
            checkout_ref=order.checkout_ref,
            payment_ref=f"demo_payment_{order.id}" if PAID in kinds else "",
            refunded=order.amount if REFUNDED in kinds else 0,
        )

    def refund(self, order: Order) -> None:
        made = call(order.id, REFUNDED)
        now = timezone.now()
        ProviderEvent.objects.get_or_create(
            id=made.id,
            defaults={
                "provider": self.name,
                "kind": made.kind,
                "made_at": now,
                "handled_at": now,
                "order_id": order.id,
                "purchase_id": order.id,
            },
        )

    def heard(self, body: bytes, signature: str) -> Call | None:
        raise InvalidSignature

    def order_of(self, call: Call) -> str:
        return call.order_id


def ordered(purchase_id: str) -> Purchase | None:
    """The purchase whose checkout the page of this id is."""
    if "\0" in purchase_id:
        return None
    return Purchase.objects.filter(id=purchase_id, provider=Demo.name).first()


def call(order_id: str, kind: str) -> Call:
    """What pressing a button of the demo's page says; again, it is the same call."""
    return Call(f"{kind}:{order_id}", kind, time.time(), order_id)


def _kinds(order: Order) -> set[str]:
    found = ProviderEvent.objects.filter(
        id__in=[call(order.id, kind).id for kind in (PAID, REFUNDED)]
    )
    return set(found.values_list("kind", flat=True))


def _is_open(order: Order) -> bool:
    rows = Purchase.objects.filter(id=order.id, expires_at__gt=timezone.now())
    return bool(order.checkout_ref) and rows.exists()


def _status(kinds: set[str], *, is_open: bool) -> Status:
    if not settings.DEBUG:
        return "closed"  # the server has become a real one: nothing more is given
    if REFUNDED in kinds:
        return "refunded"
    if PAID in kinds:
        return "paid"
    return "open" if is_open else "closed"


def provider() -> Provider:
    return Demo()
