"""Stripe takes the money, on a page of its own (Checkout).

Invariant: an order is one Checkout Session, one payment and at most one refund of ours,
however often each of these is asked for: Stripe knows each by an idempotency key made
of the order's id. Neither keys nor what is sent or answered is logged or told to a
buyer.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar

import stripe
from django.conf import settings
from stripe.checkout import Session

from namespaces.billing import (
    Call,
    Checkout,
    Order,
    Payment,
    PaymentRefused,
    Provider,
    ProviderUnavailable,
    Status,
    stripe_calls,
)

if TYPE_CHECKING:
    from stripe.params.checkout import SessionCreateParams

_Object = TypeVar("_Object", bound=stripe.StripeObject)

TIMEOUT_SECONDS: Final = 10.0
RETRIES: Final = 2
# A payment that was begun and came to nothing: its session will not ask for another.
_DEAD: Final = {"canceled", "requires_payment_method"}
# Disputes that ended, and a question of the bank's that was answered.
# The buyer's bank has the money then, as after a refund.
_LOST: Final = "lost"
_OVER: Final = {"won", "warning_closed", "prevented", _LOST}
# The job that looks is done again by itself, and others wait for its place.
_ONCE: Final[stripe.RequestOptions] = {"max_network_retries": 0}

# Else it would tell Stripe of this host and how long calls take. The SDK has no such
# option for one client alone.
stripe.enable_telemetry = False


class Stripe:
    """The provider. api: another address of Stripe's API, "" for Stripe's own."""

    name = "stripe"

    def __init__(
        self,
        secret_key: str,
        webhook_secret: str,
        *,
        api: str = "",
        timeout: float = TIMEOUT_SECONDS,
        retries: int = RETRIES,
    ) -> None:
        self._webhook_secret = webhook_secret
        client = stripe.StripeClient(
            secret_key,
            base_addresses={"api": api} if api else {},
            max_network_retries=retries,
            http_client=stripe.RequestsClient(timeout=timeout),
        )
        self._stripe = client.v1

    def open(self, order: Order, *, done_url: str, back_url: str) -> Checkout:
        sessions = self._stripe.checkout.sessions
        with _translated():
            if order.checkout_ref:
                session = sessions.retrieve(order.checkout_ref)
            else:
                session = sessions.create(
                    _terms(order, done_url=done_url, back_url=back_url),
                    {"idempotency_key": f"flux-checkout-{order.id}"},
                )
        if not session.url:  # Stripe takes it away once it cannot be paid
            raise PaymentRefused("This checkout is over.")
        return Checkout(session.id, session.url, float(session.expires_at))

    def look(self, order: Order) -> Payment:
        if not order.checkout_ref:
            return Payment("closed", order.amount, order.currency)
        with _translated():
            session = self._stripe.checkout.sessions.retrieve(
                order.checkout_ref,
                {"expand": ["payment_intent.latest_charge"]},
                _ONCE,
            )
            if session.client_reference_id not in {None, order.id}:
                raise PaymentRefused("This checkout is another purchase's.")
            intent = _expanded(session.payment_intent, stripe.PaymentIntent)
            charge = _expanded(intent and intent.latest_charge, stripe.Charge)
            disputes = self._disputes(intent, charge)
            paid = _status(session, intent, charge)
            lost = sum(one.amount for one in disputes if one.status == _LOST)
            if lost and lost >= (session.amount_total or 0):
                paid = "refunded"
            return Payment(
                paid,
                amount=session.amount_total or 0,
                currency=session.currency or "",
                checkout_ref=session.id,
                payment_ref=intent.id if intent else "",
                receipt_url=(charge.receipt_url or "") if charge else "",
                refunded=lost + (charge.amount_refunded if charge else 0),
                is_disputed=any(one.status not in _OVER for one in disputes),
            )

    def _disputes(
        self, intent: stripe.PaymentIntent | None, charge: stripe.Charge | None
    ) -> list[stripe.Dispute]:
        """How its disputes stand. A charge stays `disputed` for good: they know."""
        if intent is None or charge is None or not charge.disputed:
            return []
        found = self._stripe.disputes.list(
            {"payment_intent": intent.id, "limit": 100}, _ONCE
        )
        return found.data

    def refund(self, order: Order) -> None:
        payment_ref = order.payment_ref or self.look(order).payment_ref
        if not payment_ref:
            raise PaymentRefused("Nothing was paid, so there is nothing to give back.")
        try:
            with _translated():
                refund = self._stripe.refunds.create(
                    {
                        "payment_intent": payment_ref,
                        "metadata": {stripe_calls.METADATA_KEY: order.id},
                    },
                    {"idempotency_key": f"flux-refund-{order.id}-{_hour()}"},
                )
        except _AlreadyRefunded:
            return
        if refund.status in {"failed", "canceled"}:
            raise PaymentRefused("Stripe could not give the money back.")

    def heard(self, body: bytes, signature: str) -> Call | None:
        return stripe_calls.read(body, signature, secret=self._webhook_secret)

    def order_of(self, call: Call) -> str:
        if call.order_id or not call.payment_ref:
            return call.order_id
        try:
            with _translated():
                intent = self._stripe.payment_intents.retrieve(call.payment_ref)
        except _Missing:
            return ""
        named: str = intent.metadata.to_dict().get(stripe_calls.METADATA_KEY, "")
        return named


def _hour() -> int:
    """Stripe repeats its first answer to a key for a day, a refusal for lack of balance
    too. That no more goes back than was paid, it sees to without any key."""
    return int(time.time() // 3_600)


def provider() -> Provider:
    return _stripe(
        settings.FLUX_STRIPE_SECRET_KEY,
        settings.FLUX_STRIPE_WEBHOOK_SECRET,
        settings.FLUX_STRIPE_API,
    )


@lru_cache(maxsize=4)  # one per process in production: its connections are kept open
def _stripe(secret_key: str, webhook_secret: str, api: str) -> Stripe:
    return Stripe(secret_key, webhook_secret, api=api)


def _terms(order: Order, *, done_url: str, back_url: str) -> "SessionCreateParams":
    """What is sold, and where the browser goes.

    There is no `expires_at`: with an idempotency key the same parameters must be sent
    again, and "an hour from now" is another moment each time. Stripe's own end is 24
    hours after it was made; it keeps the key for at least as long, so there are never
    two open sessions of one order.
    """
    ours = {stripe_calls.METADATA_KEY: order.id}
    return {
        "mode": "payment",
        "line_items": [
            {
                "price_data": {
                    "currency": order.currency,
                    "unit_amount": order.amount,
                    "product_data": {"name": "Flux namespace"},
                },
                "quantity": 1,
            }
        ],
        "customer_email": order.email,
        "client_reference_id": order.id,
        "metadata": ours,
        "payment_intent_data": {"metadata": ours},
        "success_url": done_url,
        "cancel_url": back_url,
    }


def _status(
    session: Session,
    intent: stripe.PaymentIntent | None,
    charge: stripe.Charge | None,
) -> Status:
    """`no_payment_required` is not paid: we sell nothing for nothing here."""
    if session.payment_status == "paid":
        return "refunded" if charge is not None and charge.refunded else "paid"
    if session.status == "expired":
        return "closed"
    # The buyer is done, the money is on its way for days (a bank's transfer), or will
    # not come.
    if session.status == "complete" and (intent is None or intent.status in _DEAD):
        return "closed"
    return "open"


def _expanded(field: object, kind: type[_Object]) -> _Object | None:
    """A field that was asked for in full; None when there is none yet."""
    return field if isinstance(field, kind) else None


class _AlreadyRefunded(PaymentRefused):
    """All of it was given back already."""


class _Missing(PaymentRefused):
    """Stripe does not know this; are its keys still those of the same account?"""


_SENTENCES: Final = {
    "amount_too_large": "Stripe does not take so high a price.",
    "amount_too_small": "Stripe does not take so low a price.",
    "balance_insufficient": "The Stripe account has too little to give this back.",
    "charge_disputed": "The buyer's bank asked for this money; we cannot give it back.",
    "email_invalid": "Stripe does not take this e-mail address.",
}


@contextmanager
def _translated() -> Iterator[None]:
    """Stripe's errors as ours, without its messages: some show a part of a key."""
    try:
        yield
    except stripe.IdempotencyError:
        raise PaymentRefused(
            "This purchase was begun with other terms or addresses; begin a new one."
        ) from None
    except (stripe.CardError, stripe.InvalidRequestError) as error:
        raise _refusal(error) from None
    except (stripe.AuthenticationError, stripe.PermissionError):
        raise ProviderUnavailable(
            "Stripe does not take the key of this server; its operator must mend it.",
            retry_after=60,
        ) from None
    except stripe.StripeError:
        raise ProviderUnavailable(retry_after=5) from None


def _refusal(error: stripe.StripeError) -> PaymentRefused:
    code = error.code or "no reason given"
    if code == "charge_already_refunded":
        return _AlreadyRefunded()
    if code == "resource_missing":
        return _Missing()
    # The request's id finds all of it in Stripe's dashboard.
    return PaymentRefused(
        _SENTENCES.get(code)
        or f"Stripe refuses this: {code} (request {error.request_id or 'without id'})."
    )
