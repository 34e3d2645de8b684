"""`/register/demo/…`: the demo's checkout, on which no money moves.

Invariant: it is there where the server sells by `demo` alone; as on a provider's own
page, whoever has the address may press the button.
"""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from flux_project import selling
from flux_project.errors import NotFound
from namespaces import money, settling
from namespaces.billing import demo
from namespaces.models import Purchase
from namespaces.shop_pages import see
from namespaces.shop_site import page


class NoSuchCheckout(NotFound):
    """There is no checkout at this address: begin a purchase at /register."""

    code = "checkout_not_found"


@page("GET", "POST")
def demo_checkout(request: HttpRequest, purchase_id: str) -> HttpResponse:
    """A checkout that says what it is; pressing its button is the payment."""
    if settings.FLUX_BILLING != selling.DEMO:
        raise NoSuchCheckout
    purchase = demo.ordered(purchase_id)
    if purchase is None:
        raise NoSuchCheckout
    if request.method != "POST":
        return _shown(request, purchase)
    if purchase.state == Purchase.State.PENDING:
        if not _is_open(purchase):
            return _shown(request, purchase, status=409)
        settling.note(selling.DEMO, demo.call(purchase_id, demo.PAID))
    return see("shop_done", purchase=purchase_id)  # paid; pressed twice, perhaps


def _shown(
    request: HttpRequest, purchase: Purchase, *, status: int = 200
) -> HttpResponse:
    context = {
        "purchase": purchase,
        "price": money.shown(purchase.amount, purchase.currency),
        "is_open": _is_open(purchase),
    }
    return render(request, "shop/demo.html", context, status=status)


def _is_open(purchase: Purchase) -> bool:
    is_pending = purchase.state == Purchase.State.PENDING
    return is_pending and purchase.expires_at > timezone.now()
