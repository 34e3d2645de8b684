"""Stripe's objects and events, as far as Flux looks at them; signed as Stripe signs."""

import hmac
import json
import secrets
import time
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from tests.support.stripe_forms import Params, under

API_VERSION = "2026-10-28.endive"
Object = dict[str, Any]


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def session_of(params: Params, site: str) -> Object:
    ref = new_id("cs_test")
    now = int(time.time())
    price = "line_items[0][price_data]"
    quantity = int(params["line_items[0][quantity]"])
    return {
        "id": ref,
        "object": "checkout.session",
        "amount_total": int(params[f"{price}[unit_amount]"]) * quantity,
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "created": now,
        "currency": params[f"{price}[currency]"],
        "customer_email": params.get("customer_email"),
        "expires_at": int(params.get("expires_at", now + 24 * 3600)),
        "livemode": False,
        "metadata": under(params, "metadata"),
        "mode": params["mode"],
        "payment_intent": None,  # Stripe makes it when the buyer pays
        "payment_status": "unpaid",
        "status": "open",
        "success_url": params["success_url"],
        "url": f"{site}/c/pay/{ref}",
    }


def intent_of(session: Object, metadata: Params) -> Object:
    return {
        "id": new_id("pi"),
        "object": "payment_intent",
        "amount": session["amount_total"],
        "currency": session["currency"],
        "latest_charge": None,
        "livemode": False,
        "metadata": metadata,
        "status": "processing",
    }


def charge_of(intent: Object, site: str) -> Object:
    ref = new_id("ch")
    return {
        "id": ref,
        "object": "charge",
        "amount": intent["amount"],
        "amount_refunded": 0,
        "currency": intent["currency"],
        "disputed": False,
        "livemode": False,
        "metadata": dict(intent["metadata"]),  # copied once, as Stripe does
        "paid": True,
        "payment_intent": intent["id"],
        "receipt_url": f"{site}/receipts/{ref}",
        "refunded": False,
        "status": "succeeded",
    }


def refund_of(charge: Object, amount: int, metadata: Params) -> Object:
    return {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "charge": charge["id"],
        "currency": charge["currency"],
        "metadata": metadata,
        "payment_intent": charge["payment_intent"],
        "status": "succeeded",
    }


def dispute_of(charge: Object, status: str) -> Object:
    return {
        "id": new_id("du"),
        "object": "dispute",
        "amount": charge["amount"],
        "charge": charge["id"],
        "currency": charge["currency"],
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": "fraudulent",
        "status": status,
    }


@dataclass(frozen=True)
class StripeEvent:
    """An event; about: its object as it was then. body: the same at each delivery."""

    id: str
    type: str
    about: Object
    body: bytes


def event_of(kind: str, about: Object) -> StripeEvent:
    ref = new_id("evt")
    event = {
        "id": ref,
        "object": "event",
        "api_version": API_VERSION,
        "created": int(time.time()),
        "data": {"object": about},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }
    # Indented as Stripe's: a body that was parsed and written again is another one.
    return StripeEvent(ref, kind, deepcopy(about), json.dumps(event, indent=2).encode())


def sign(body: bytes, secret: str, *, age_seconds: float = 0) -> str:
    """A Stripe-Signature header. Written anew: the SDK's own would prove nothing."""
    stamp = str(int(time.time() - age_seconds))
    proof = hmac.new(secret.encode(), f"{stamp}.".encode() + body, "sha256")
    return f"t={stamp},v1={proof.hexdigest()}"
