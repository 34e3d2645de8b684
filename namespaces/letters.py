"""E-mails to those who buy and own: each as text and as HTML.

Invariant: links lead to this server's own public address, never to what a request
called it; no letter has a token that writes, nor a claim secret.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from flux_project import addresses
from namespaces import money, owners
from namespaces.models import Owner, Purchase


def receipt(purchase: Purchase) -> None:
    """What was bought, for how much, and how to go on. Sends it."""
    name = purchase.namespace.name if purchase.namespace else ""
    subject = f"Your Flux namespace {name}"
    _send("receipt", purchase.email, subject, _bought(purchase))


def refund(purchase: Purchase) -> None:
    """That the money went back, and what that means. Sends it."""
    _send(
        "refund", purchase.email, "Your Flux purchase was refunded", _bought(purchase)
    )


def sign_in(owner: Owner) -> None:
    """A link that works once and for a while. Makes and sends it."""
    query = urlencode({"token": owners.link_token(owner)})
    found = {
        "link": f"{addresses.here()}/account/sign-in?{query}",
        "minutes": round(settings.SESAME_MAX_AGE.total_seconds() / 60),
    }
    _send("sign_in", owner.email, "Your sign-in link for Flux", found)


def _bought(purchase: Purchase) -> Mapping[str, Any]:
    return {
        "purchase": purchase,
        "namespace": purchase.namespace,
        "is_free": purchase.amount == 0,
        "price": money.shown(purchase.amount, purchase.currency),
        "refunded": money.shown(purchase.refunded, purchase.currency),
    }


def _send(name: str, to: str, subject: str, found: Mapping[str, Any]) -> None:
    """Raises what the mail server says: the job that sends it is tried again."""
    context = {
        "base_url": addresses.here(),
        "contact": settings.FLUX_CONTACT,
        "subject": subject,
        **found,
    }
    text = render_to_string(f"letters/{name}.txt", context)
    letter = EmailMultiAlternatives(subject, text.strip() + "\n", to=[to])
    html = render_to_string(f"letters/{name}.html", context)
    letter.attach_alternative(html, "text/html")
    letter.send()
