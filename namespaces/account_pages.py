"""The way into the account and out of it, what somebody owns, and what they paid.

Invariant: no answer tells whether an address is known here; a link that is opened is
not used up, as mail scanners open links: the button on its page does.
"""

from collections.abc import Sequence

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from msgspec import Struct

from flux_project import pool, selling, tenants
from namespaces import account_site, money, owners, shop_site
from namespaces.account_site import onward, owned
from namespaces.mailbox import InvalidEmail
from namespaces.models import Owner, Purchase
from namespaces.owners import TooManyLinks, UnusableLink
from namespaces.shop_site import page

_SAME_SITE = {"same-origin", "none"}
_PROVIDERS = {
    "stripe": "through Stripe",
    "free": "none: it was free of charge",
    "demo": "none: on the demo checkout no money moves",
}


class Receipt(Struct, frozen=True):
    """A purchase as its buyer is shown it. seller: whom to ask, if anybody is named."""

    purchase: Purchase
    price: str
    refunded: str
    payment: str
    seller: str

    @property
    def is_being_made(self) -> bool:
        return self.purchase.state == Purchase.State.PAID

    @property
    def is_unclaimed(self) -> bool:
        return self.purchase.state == Purchase.State.PROVISIONED


@page("GET")
def account(request: HttpRequest) -> HttpResponse:
    owner = account_site.signed_in(request)
    if owner is None:
        return _ask_for_address(request)
    return _overview(request, owner)


def _ask_for_address(
    request: HttpRequest, refused: InvalidEmail | TooManyLinks | None = None
) -> HttpResponse:
    context = {
        "email": request.POST.get("email", ""),
        "refused": refused,
        # A browser sends no session along with a link from elsewhere, as in a mail.
        "may_be_signed_in": request.headers.get("Sec-Fetch-Site") not in _SAME_SITE,
    }
    status = refused.status if refused else 200
    answer = render(request, "account/ask.html", context, status=status)
    if refused is not None and refused.retry_after is not None:
        answer["Retry-After"] = str(refused.retry_after)
    return answer


@page("POST")
def ask_for_link(request: HttpRequest) -> HttpResponse:
    try:
        owners.ask_for_link(
            request.POST.get("email"), address=shop_site.address(request)
        )
    except (InvalidEmail, TooManyLinks) as error:
        return _ask_for_address(request, error)
    return onward("account_link_sent")


@page("GET")
def link_sent(request: HttpRequest) -> HttpResponse:
    minutes = round(settings.SESAME_MAX_AGE.total_seconds() / 60)
    is_printed = settings.DEBUG and settings.EMAIL_BACKEND == selling.PRINTING
    context = {"minutes": minutes, "is_printed": is_printed}
    return render(request, "account/link_sent.html", context)


@page("GET", "POST")
def sign_in(request: HttpRequest) -> HttpResponse:
    """Asks whether to; the button's POST does it."""
    try:
        if request.method != "POST":
            return _ask_whether(request, request.GET.get("token", ""))
        owner = owners.enter(request.POST.get("token", ""))
    except UnusableLink as error:
        # Perhaps by the same person, in another tab.
        is_in = account_site.signed_in(request) is not None
        context = {"message": error.message, "is_signed_in": is_in}
        return render(request, "account/unusable.html", context, status=error.status)
    account_site.enter(request, owner)
    return onward("account")


def _ask_whether(request: HttpRequest, token: str) -> HttpResponse:
    """Raises UnusableLink."""
    context = {
        "token": token,
        "address": _hinted(owners.of_link(token)),
        "hours": settings.SESSION_COOKIE_AGE // 3_600,
    }
    return render(request, "account/sign_in.html", context)


def _hinted(owner: Owner) -> str:
    """`a…@example.org`: enough for who knows it."""
    local, _, domain = owner.email.rpartition("@")
    return f"{local[:1]}…@{domain}"


@page("POST")
def sign_out(request: HttpRequest) -> HttpResponse:
    account_site.leave(request)
    messages.success(request, "You are signed out.")
    return onward("account")


def _overview(request: HttpRequest, owner: Owner) -> HttpResponse:
    names = [one.name for one in owners.namespaces(owner)]
    with pool.connection() as connection:
        found = tenants.named(connection, names)
    context = {
        "owner": owner,
        "tenants": found,
        "receipts": _receipts(owners.purchases(owner)),
        "is_selling": settings.FLUX_BILLING != selling.OFF,
    }
    return render(request, "account/overview.html", context)


@owned("GET")
def receipt(request: HttpRequest, owner: Owner, purchase_id: str) -> HttpResponse:
    found = _receipts([owners.purchase(owner, purchase_id)])
    return render(request, "account/receipt.html", {"receipt": found[0]})


def _receipts(purchases: Sequence[Purchase]) -> list[Receipt]:
    return [
        Receipt(
            one,
            money.shown(one.amount, one.currency),
            money.shown(one.refunded, one.currency) if one.refunded else "",
            _PROVIDERS.get(one.provider, one.provider),
            settings.FLUX_CONTACT,
        )
        for one in purchases
    ]
