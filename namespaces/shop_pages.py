"""`/register`: the pages on which people buy a namespace (contract §6 *Purchase*).

Invariant: no page believes a browser that comes back of having paid; a claim secret
stands in no page and no address, and a token in the one answer that made it.
"""

import time
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.encoding import iri_to_uri

from flux_project import addresses, selling
from flux_project.errors import Conflict, FluxError
from namespaces import claim_cookies, claiming, config, money, purchasing
from namespaces.billing import PaymentRefused, ProviderUnavailable
from namespaces.mailbox import InvalidEmail
from namespaces.models import Purchase
from namespaces.purchasing import ClaimSecretNeeded, TooManyPurchases
from namespaces.shop_site import address, page

# A page that waits loads itself again: soon at first, then with more patience.
_PAUSES = ((60, 2), (3_600, 5))
_LONG_PAUSE_SECONDS = 60
SLOW_SECONDS = 60
MAX_DIGITS = 12
State = Purchase.State


@page("GET", "POST")
def register(request: HttpRequest) -> HttpResponse:
    """What a namespace is and costs, and the form that begins to buy one."""
    return _begin(request) if request.method == "POST" else _offer(request)


def _begin(request: HttpRequest) -> HttpResponse:
    email = request.POST.get("email", "")
    try:
        begun = purchasing.begin(
            email, base_url=addresses.of(request), address=address(request)
        )
    except (
        InvalidEmail,
        TooManyPurchases,
        ProviderUnavailable,
        PaymentRefused,
    ) as error:
        return _offer(request, email=email, error=error)
    bought = begun.purchase
    next_page = "shop_checkout" if bought.checkout_url else "shop_done"
    answer = see(next_page, purchase=bought.id)
    claim_cookies.remember(request, answer, purchase_id=bought.id, secret=begun.secret)
    return answer


def _offer(
    request: HttpRequest, *, email: str = "", error: FluxError | None = None
) -> HttpResponse:
    cancelled = request.GET.get("cancelled", "")
    context = {
        "is_for_sale": settings.FLUX_BILLING != selling.OFF,
        "billing": settings.FLUX_BILLING,
        "price": settings.FLUX_PRICE if settings.FLUX_PRICE.amount else "",
        "contact": settings.FLUX_CONTACT,
        "base_url": addresses.of(request),
        "events_a_minute": _events_a_minute(),
        "email": email,
        "error": error,
        "is_cancelled": bool(cancelled),
        "checkout": cancelled if cancelled in claim_cookies.known(request) else "",
    }
    status = error.status if error else 200
    answer = render(request, "shop/register.html", context, status=status)
    if error is not None and error.retry_after is not None:
        answer["Retry-After"] = str(error.retry_after)
    return answer


def _events_a_minute() -> str:
    current = config.current()
    most = current.rate_limit_per_namespace_per_minute
    return f"{most:,}" if current.rate_limit_enabled else ""


@page("GET")
def checkout(request: HttpRequest) -> HttpResponse:
    """On to the provider's checkout.

    A page, as a form's answer may lead to no other site (form-action of our
    Content-Security-Policy holds for what a form is redirected to as well).
    """
    purchase = _bought(request, request.GET.get("purchase", ""))
    if purchase is None:
        return _stranger(request)
    where = _checkout_url(purchase)
    if purchase.state != State.PENDING or not where:
        return see("shop_done", purchase=purchase.id)
    answer = render(request, "shop/checkout.html", _told(purchase))
    answer["Refresh"] = f"0; url={iri_to_uri(where)}"
    return answer


@page("GET", "POST")
def done(request: HttpRequest) -> HttpResponse:
    """How far a purchase is; and, when its button is pressed, the token."""
    given = request.POST if request.method == "POST" else request.GET
    newest = claim_cookies.known(request)[:1]
    purchase = _bought(request, given.get("purchase") or "".join(newest))
    if purchase is None:
        return _stranger(request)
    if request.method == "POST":
        return _claim(request, purchase)
    purchasing.nudge(purchase)
    return _progress(request, purchase)


def _bought(request: HttpRequest, purchase_id: str) -> Purchase | None:
    """The purchase, if this browser began it."""
    try:
        return purchasing.found(
            purchase_id,
            claim_cookies.header(request, purchase_id),
            address=address(request),
        )
    except ClaimSecretNeeded:
        return None


def _stranger(request: HttpRequest) -> HttpResponse:
    """To a browser without the cookie: where the token is to be had all the same."""
    status = 403 if request.method == "POST" else 200
    return render(request, "shop/stranger.html", status=status)


def _claim(request: HttpRequest, purchase: Purchase) -> HttpResponse:
    try:
        claimed = claiming.claim(
            purchase, address=address(request), after=request.POST.get("after")
        )
    except Conflict as error:
        now = _bought(request, purchase.id) or purchase
        return _progress(request, now, error=error)
    context = {
        **_told(claimed.purchase),
        "name": claimed.namespace.name,
        "token": claimed.text,
        "base_url": addresses.of(request),
    }
    return render(request, "shop/token.html", context)


def _progress(
    request: HttpRequest, purchase: Purchase, *, error: Conflict | None = None
) -> HttpResponse:
    now = int(time.time())
    since = _since(request, now)
    is_waiting = purchase.state in {State.PENDING, State.PAID}
    context = {
        **_told(purchase),
        "is_claimable": claiming.may_claim(purchase),
        "is_slow": now - since >= SLOW_SECONDS,
        "error": error,
    }
    status = error.status if error else 200
    template = f"shop/{State(purchase.state).value}.html"
    answer = render(request, template, context, status=status)
    if is_waiting:
        answer["Refresh"] = _again(purchase, since, now)
    return answer


def _since(request: HttpRequest, now: int) -> int:
    """When this page began to load itself again, in epoch seconds."""
    since = request.GET.get("since", "")
    is_number = since.isascii() and since.isdigit() and len(since) <= MAX_DIGITS
    return min(int(since), now) if is_number else now


def _again(purchase: Purchase, since: int, now: int) -> str:
    """The header Refresh. Since when is in the address, which stays the same from the
    second time on: the way back does not lead through every look."""
    pauses = [pause for most, pause in _PAUSES if now - since < most]
    seconds = pauses[0] if pauses else _LONG_PAUSE_SECONDS
    query = {"purchase": purchase.id, "since": since}
    return f"{seconds}; url={reverse('shop_done')}?{urlencode(query)}"


def _told(purchase: Purchase) -> dict[str, Any]:
    """What pages say of a purchase."""
    return {
        "purchase": purchase,
        "namespace": purchase.namespace,
        "price": money.shown(purchase.amount, purchase.currency),
        "is_free": purchase.amount == 0,
        "checkout_url": _checkout_url(purchase),
        "contact": settings.FLUX_CONTACT,
    }


def _checkout_url(purchase: Purchase) -> str:
    """Where to pay; "" where there is no such page."""
    is_web = urlsplit(purchase.checkout_url).scheme in {"http", "https"}
    return purchase.checkout_url if is_web else ""


def see(name: str, **query: str) -> HttpResponse:
    """On to a page of ours, whatever the method was."""
    where = f"{reverse(name)}?{urlencode(query)}"
    return HttpResponseRedirect(where, status=303)
