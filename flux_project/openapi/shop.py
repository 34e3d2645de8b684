"""Descriptions of purchases (contract §6 *Purchase*)."""

from flux_project.openapi.parts import Schema, answer, body, operation, ref

_ID: Schema = {
    "in": "path",
    "name": "purchase_id",
    "required": True,
    "description": "The purchase's id.",
    "schema": {"type": "string"},
    "example": "pur_4k2m9x1q7c0dv3bz",
}
_BEGUN = {
    "purchase_id": "pur_4k2m9x1q7c0dv3bz",
    "checkout_url": "https://checkout.stripe.com/c/pay/cs_live_…",
    "amount": 900,
    "currency": "usd",
    "expires_at": "2026-06-02T09:00:00.000Z",
}
_SECRET: list[Schema] = [{"claimSecret": []}]
_NOT_SOLD = "The server sells no namespaces, or is in open mode."
_NOT_BUYER = "The claim secret is missing or wrong, or there is no such purchase."
_FAILED = "Too many tokens or claim secrets from this address were no good."

BUY = operation(
    "beginPurchase",
    tag="Purchases",
    text=(
        "Begin to buy a namespace",
        "A person pays at `checkout_url`; then the purchase is claimed with"
        " `claim_secret`, which this answer alone ever has. The server picks the"
        " name. `checkout_url` is null where namespaces cost nothing.",
    ),
    security=[{}],
    requestBody=body(
        {
            "type": "object",
            "required": ["email"],
            "properties": {
                "email": {"type": "string", "format": "email", "maxLength": 254}
            },
        },
        description="Where the receipt goes, and who may sign in at `/account`.",
        examples={"email": ("A buyer", {"email": "you@example.org"})},
    ),
    answers={
        "201": answer(
            "It waits to be paid.",
            ref("BegunPurchase"),
            example={**_BEGUN, "claim_secret": "claim_q9Z…"},
        ),
    },
    errors={
        "404": _NOT_SOLD,
        "409": "The payment provider refused it.",
        "429": "Too many purchases were begun from this address.",
    },
)

READ_PURCHASE = operation(
    "readPurchase",
    tag="Purchases",
    text=(
        "How far a purchase is",
        "`paid` with a `namespace` can be claimed; without one, it is being made.",
    ),
    security=_SECRET,
    parameters=[_ID],
    answers={
        "200": answer(
            "So far it is.",
            ref("Purchase"),
            example={"status": "paid", "namespace": "dawn-coral", **_BEGUN},
        ),
    },
    errors={"401": _NOT_BUYER, "404": "The server is in open mode.", "429": _FAILED},
)

CLAIM = operation(
    "claimPurchase",
    tag="Purchases",
    text=(
        "Get the token of what was bought",
        "Until the token's first use, and for a day, it may be asked for again, as an"
        " answer can get lost: the token before is revoked, and a new one made.",
    ),
    security=_SECRET,
    parameters=[_ID],
    answers={
        "200": answer(
            "It is yours.",
            ref("Registered"),
            example={
                "namespaceId": "ns_4k2m9x1q",
                "name": "dawn-coral",
                "token": "flux_k3v9x2m4q1_4fJ0c…",
            },
        ),
    },
    errors={
        "401": _NOT_BUYER,
        "404": "The server is in open mode.",
        "409": "It is not paid, not ready, expired, refunded, or was claimed before;"
        " `code` says which.",
        "429": _FAILED,
    },
)

STRIPE_WEBHOOK = operation(
    "stripeWebhook",
    tag="Purchases",
    text=(
        "Stripe's calls",
        "For Stripe alone, which signs them. A call is a reason to ask Stripe what is"
        " true; it is never believed by itself.",
    ),
    security=[{}],
    requestBody=body(
        {"type": "object"},
        description="An event of Stripe's, as it signed it.",
        examples={"event": ("An event", {"id": "evt_1", "object": "event"})},
    ),
    answers={
        "200": answer("Noted.", ref("Received"), example={"received": True}),
    },
    errors={
        "400": "It is not signed by Stripe, or too old.",
        "404": "The server does not sell by Stripe, or is in open mode.",
        "429": "Too many calls from this address were not signed well.",
    },
)
