"""Money that goes back, through the provider that took it.

Invariant: who wanted it is in the audit log before the provider is told; that it was
given back is what the provider says afterwards.
"""

from flux_project import jobs
from flux_project.errors import Conflict, NotFound
from namespaces import audit, change, money, settling
from namespaces.audit import Actor
from namespaces.billing import chosen
from namespaces.models import Purchase
from namespaces.purchasing import order_of

State = Purchase.State
_PAID = {State.PAID, State.PROVISIONED, State.CLAIMED}


class PurchaseNotFound(NotFound):
    """There is no such purchase."""

    code = "purchase_not_found"


class NothingToRefund(Conflict):
    """Nothing was paid for this purchase, or all of it was given back already."""

    code = "nothing_to_refund"


def refund(purchase_id: str, actor: Actor, *, because: str) -> None:
    """All of it goes back; its namespace is suspended. Raises PurchaseNotFound,
    NothingToRefund, PaymentRefused, ProviderUnavailable."""
    purchase = find(purchase_id)
    if not may_refund(purchase):
        raise NothingToRefund
    with change.transaction():
        audit.record(
            actor,
            "purchase.refund",
            purchase.id,
            after={
                "amount": money.shown(purchase.amount, purchase.currency),
                "because": because,
            },
        )
        # Should this process end before it has heard what came of it.
        jobs.defer("namespaces.settle", in_seconds=60, purchase_id=purchase.id)
    change.release()
    chosen.named(purchase.provider).refund(order_of(purchase))
    settling.settle(purchase.id)


def may_refund(purchase: Purchase) -> bool:
    """Whether there is money to give back: also of what was paid, and not as ordered,
    and where giving it back has failed."""
    is_paid = State(purchase.state) in _PAID
    is_odd = bool(purchase.trouble and purchase.payment_ref)
    is_left = purchase.amount > purchase.refunded
    return (is_paid or is_odd) and is_left


def find(purchase_id: str) -> Purchase:
    """Raises PurchaseNotFound."""
    found = None
    with change.available():
        if "\0" not in purchase_id:
            rows = Purchase.objects.select_related("namespace", "claim_token")
            found = rows.filter(id=purchase_id).first()
    if found is None:
        raise PurchaseNotFound
    return found
