"""Purchases: begun by anyone, seen by who has the claim secret (contract §6).

Invariant: a claim secret leaves only by the answer of the function that made it, and
lies nowhere in plain; `namespaces.claiming` says what it is good for.
"""

import hmac
import secrets
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.utils import timezone
from msgspec import Struct

from flux_project import jobs
from flux_project.errors import RateLimited, Unauthenticated
from namespaces import attempts, change, config, mailbox, tokens
from namespaces.access import bearer
from namespaces.billing import Checkout, Order, Provider, chosen
from namespaces.models import Purchase
from namespaces.throttle import bucket_of, failures

SECRET_MARK = "claim_"  # noqa: S105  what a claim secret begins with
SECRET_BYTES = 32
ID_CHARACTERS = 16
HOUR_SECONDS = 3_600
MOST_FREE_PER_MAILBOX = 5
# A purchase that somebody waits for is asked about so often at most, and less and less
# as it grows old: at an hour, once a minute.
LOOK_EVERY = timedelta(seconds=5)
LOOKS_OF_AN_AGE = 60
State = Purchase.State


class TooManyPurchases(RateLimited):
    """Too many purchases were begun from this address, or for it; try again later."""

    code = "too_many_purchases"


class ClaimSecretNeeded(Unauthenticated):
    """This needs the header Authorization: Bearer <claim_secret>, of this purchase."""

    code = "claim_secret_needed"


class Begun(Struct, frozen=True):
    """A purchase, and its claim secret, which nobody can see again."""

    purchase: Purchase
    secret: str


def begin(email: object, *, base_url: str, address: str) -> Begun:
    """A new purchase, and the provider's checkout for it.

    base_url: of this server, as its buyer knows it. Raises NothingForSale,
    InvalidEmail, TooManyPurchases, ProviderUnavailable, PaymentRefused.
    """
    provider = chosen.provider()
    secret = SECRET_MARK + secrets.token_urlsafe(SECRET_BYTES)
    price = settings.FLUX_PRICE
    purchase = Purchase(
        id=f"pur_{tokens.random_text(ID_CHARACTERS)}",
        claim_digest=tokens.digest_of(secret),
        email=mailbox.checked(email),
        network=bucket_of(address),
        provider=provider.name,
        amount=price.amount,
        currency=price.currency,
        expires_at=timezone.now() + timedelta(seconds=HOUR_SECONDS),
    )
    with change.transaction():
        attempts.take(
            "purchase",
            purchase.network,
            most=config.current().registrations_per_address_per_hour,
            seconds=HOUR_SECONDS,
            error=TooManyPurchases,
        )
        if price.amount == 0:
            # Nobody pays for these, so nobody else's mailbox is to be filled with them.
            attempts.take(
                "purchase for",
                purchase.email,
                most=MOST_FREE_PER_MAILBOX,
                seconds=HOUR_SECONDS,
                error=TooManyPurchases,
            )
        purchase.save(force_insert=True)
    change.release()  # others may have it while the provider takes its time
    checkout = _open(provider, purchase, base_url)
    with change.transaction():
        _keep(purchase, checkout)
        if not checkout.url:  # nothing to pay
            jobs.defer("namespaces.settle", purchase_id=purchase.id)
    return Begun(purchase, secret)


def _open(provider: Provider, purchase: Purchase, base_url: str) -> Checkout:
    return provider.open(
        order_of(purchase),
        done_url=f"{base_url}/register/done?purchase={purchase.id}",
        back_url=f"{base_url}/register?cancelled={purchase.id}",
    )


def _keep(purchase: Purchase, checkout: Checkout) -> None:
    row = Purchase.objects.select_for_update().get(id=purchase.id)
    row.checkout_ref = checkout.ref
    row.checkout_url = checkout.url
    row.expires_at = datetime.fromtimestamp(checkout.expires_at, tz=UTC)
    if row.state == State.EXPIRED:
        row.state = State.PENDING  # it was given up before the provider had answered
    row.revision += 1
    row.save()
    purchase.refresh_from_db()


def order_of(purchase: Purchase) -> Order:
    """What its provider is to know of a purchase."""
    return Order(
        purchase.id,
        purchase.email,
        purchase.amount,
        purchase.currency,
        purchase.checkout_ref,
        purchase.payment_ref,
    )


def found(purchase_id: str, authorization: str | None, *, address: str) -> Purchase:
    """The purchase of this id, for who has its claim secret.

    Whether there is no such purchase or the secret is another's, is not told apart.
    Raises ClaimSecretNeeded, TooManyFailures.
    """
    text = bearer(authorization)
    if text is None:
        raise ClaimSecretNeeded
    with change.available():
        purchase = _with_secret(purchase_id, text)
    if purchase is None:
        failures.check(address)
        failures.count(address)
        raise ClaimSecretNeeded
    return purchase


def _with_secret(purchase_id: str, text: str) -> Purchase | None:
    if not text.isascii() or "\0" in purchase_id:
        return None
    rows = Purchase.objects.select_related("namespace")
    purchase = rows.filter(id=purchase_id).first()
    given = tokens.digest_of(text)
    kept = bytes(purchase.claim_digest) if purchase is not None else bytes(32)
    return purchase if hmac.compare_digest(kept, given) else None


def nudge(purchase: Purchase) -> None:
    """Somebody waits for this purchase: has its provider asked, if not just now."""
    if purchase.state != State.PENDING:
        return
    now = timezone.now()
    pause = max(LOOK_EVERY, (now - purchase.created_at) / LOOKS_OF_AN_AGE)
    with change.transaction():
        rows = Purchase.objects.filter(id=purchase.id, state=State.PENDING)
        quiet = rows.exclude(looked_at__gt=now - pause)
        if quiet.update(looked_at=now):
            jobs.defer(
                "namespaces.settle",
                once=purchase.id,
                priority=jobs.LOOK,
                purchase_id=purchase.id,
            )
