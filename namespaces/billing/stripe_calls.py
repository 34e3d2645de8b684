"""Stripe's calls to us (webhooks): proved, then read no further than needed.

Invariant: nothing of a body is read before its signature is proved.
"""

from typing import Final

import msgspec
import stripe
from msgspec import Struct

from namespaces.billing import Call, InvalidSignature

# What names our order on everything at Stripe that is ours.
METADATA_KEY: Final = "flux_purchase"
TOLERANCE_SECONDS: Final = 300

_SESSION_KINDS: Final = {
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
}
_CHARGE_KINDS: Final = {"charge.refunded"}
# Refunds and disputes carry no metadata of the payment that they are about.
_UNNAMED_KINDS: Final = {
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.funds_reinstated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.updated",
    "refund.created",
    "refund.failed",
    "refund.updated",
}
_KINDS: Final = _SESSION_KINDS | _CHARGE_KINDS | _UNNAMED_KINDS


class _Head(Struct):
    type: str


class _Object(Struct):
    """A session, charge, refund or dispute."""

    id: str
    payment_intent: str | None = None
    metadata: dict[str, str] | None = None


class _Data(Struct):
    object: _Object


class _Event(Struct):
    id: str
    type: str
    created: float
    data: _Data


def read(body: bytes, signature: str, *, secret: str) -> Call | None:
    """None: of a kind, or of a product of the same account, that is not our concern.

    Raises InvalidSignature, also for what is signed and yet is no event.
    """
    # ValueError: a body that is not UTF-8, or (msgspec's) is no event. TypeError: the
    # SDK's, for a signature that is not ASCII.
    try:
        stripe.WebhookSignature.verify_header(
            body, signature, secret, tolerance=TOLERANCE_SECONDS
        )
        # Of the other kinds nothing more is known: some have no such data at all.
        if msgspec.json.decode(body, type=_Head).type not in _KINDS:
            return None
        event = msgspec.json.decode(body, type=_Event)
    except (
        stripe.SignatureVerificationError,
        ValueError,
        TypeError,
    ):
        raise InvalidSignature from None
    return _call(event)


def _call(event: _Event) -> Call | None:
    about = event.data.object
    order_id = (about.metadata or {}).get(METADATA_KEY, "")
    payment_ref = about.payment_intent or ""
    # Sessions and charges of ours bear the order's id. What bears none but comes of a
    # payment may be ours: the payment knows.
    is_known = bool(order_id) or (event.type in _UNNAMED_KINDS and bool(payment_ref))
    if not is_known:
        return None
    return Call(
        event.id,
        event.type,
        event.created,
        order_id=order_id,
        checkout_ref=about.id if event.type in _SESSION_KINDS else "",
        payment_ref=payment_ref,
    )
