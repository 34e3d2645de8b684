"""Stripe's webhooks: which are proved, and what is taken from them."""

import json
import time
from collections.abc import Callable

import pytest
from msgspec import structs

from namespaces.billing import Call, InvalidSignature
from namespaces.billing.stripe import Stripe
from tests.support.stripe_client import ORDER, opened
from tests.support.stripe_fake import StripeFake
from tests.support.stripe_objects import StripeEvent, event_of, sign

GOOD, WRONG = StripeFake.webhook_secret, "whsec_of_somebody_else"


def heard(provider: Stripe, event: StripeEvent) -> Call | None:
    return provider.heard(event.body, sign(event.body, GOOD))


@pytest.fixture
def body(provider: Stripe, stripe_fake: StripeFake) -> bytes:
    return stripe_fake.pay(opened(provider).checkout_ref).body


def test_a_signed_call_names_its_order(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    order = opened(provider)
    event = stripe_fake.pay(order.checkout_ref)
    intent = stripe_fake.charge_of(order.checkout_ref)["payment_intent"]
    made_at = json.loads(event.body)["created"]

    assert heard(provider, event) == Call(
        event.id,
        "checkout.session.completed",
        made_at,
        order_id="pur_1",
        checkout_ref=order.checkout_ref,
        payment_ref=intent,
    )


def test_each_thing_that_happens_to_an_order_is_heard(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    at_once, slow, never, gone, lost = (
        opened(provider, structs.replace(ORDER, id=f"pur_{n}")).checkout_ref
        for n in range(5)
    )
    stripe_fake.pay(at_once)
    stripe_fake.dispute(at_once)
    stripe_fake.close_dispute(at_once, won=True)
    stripe_fake.refund(at_once)
    stripe_fake.pay_slowly(slow)
    stripe_fake.arrive(slow)
    stripe_fake.pay_slowly(never)
    stripe_fake.fall_through(never)
    stripe_fake.expire(gone)
    stripe_fake.pay(lost)
    stripe_fake.dispute(lost)

    calls = [call for event in stripe_fake.events if (call := heard(provider, event))]

    said = [(call.kind, provider.order_of(call)) for call in calls]
    assert said == [
        ("checkout.session.completed", "pur_0"),
        ("charge.dispute.created", "pur_0"),
        ("charge.dispute.funds_withdrawn", "pur_0"),
        ("charge.dispute.funds_reinstated", "pur_0"),
        ("charge.dispute.closed", "pur_0"),
        ("refund.created", "pur_0"),
        ("charge.refunded", "pur_0"),
        ("checkout.session.completed", "pur_1"),
        ("checkout.session.async_payment_succeeded", "pur_1"),
        ("checkout.session.completed", "pur_2"),
        ("checkout.session.async_payment_failed", "pur_2"),
        ("checkout.session.expired", "pur_3"),
        ("checkout.session.completed", "pur_4"),
        ("charge.dispute.created", "pur_4"),
        ("charge.dispute.funds_withdrawn", "pur_4"),
    ]
    for call in calls:
        is_checkout = call.kind.startswith("checkout")
        assert call.checkout_ref.startswith("cs_") == is_checkout
        assert bool(call.checkout_ref) == is_checkout


@pytest.mark.parametrize(
    ("kind", "about"),
    [
        ("checkout.session.completed", {"id": "cs_1", "metadata": {}}),
        ("checkout.session.expired", {"id": "cs_1", "metadata": {"sku": "a mug"}}),
        ("charge.refunded", {"id": "ch_1", "payment_intent": "pi_1", "metadata": {}}),
        ("charge.dispute.created", {"id": "du_1", "payment_intent": None}),
        ("refund.updated", {"id": "re_1", "payment_intent": None, "metadata": None}),
        ("payment_intent.succeeded", {"id": "pi_1", "metadata": {}}),
        ("customer.created", {"id": 7}),
        ("a.kind.of.tomorrow", {}),
    ],
)
def test_what_is_not_about_our_orders_is_passed_over(
    provider: Stripe, kind: str, about: dict[str, object]
) -> None:
    assert heard(provider, event_of(kind, about)) is None


def test_one_good_signature_among_several_is_enough(
    provider: Stripe, body: bytes
) -> None:
    """Stripe signs with both secrets while one takes the other's place."""
    stamp, good = sign(body, GOOD).split(",")
    wrong = sign(body, WRONG).split(",")[1]
    assert provider.heard(body, f"{stamp},{wrong},{good},v0=abc")


def test_a_signature_is_good_for_some_minutes(provider: Stripe, body: bytes) -> None:
    assert provider.heard(body, sign(body, GOOD, age_seconds=240))


@pytest.mark.parametrize(
    "signed",
    [
        pytest.param(lambda body: sign(body, WRONG), id="wrong secret"),
        pytest.param(lambda body: sign(body, ""), id="no secret"),
        pytest.param(lambda body: sign(body + b" ", GOOD), id="another body"),
        pytest.param(lambda body: sign(body, GOOD, age_seconds=330), id="too old"),
        pytest.param(lambda body: sign(body, GOOD).replace("v1=", "v0="), id="v0"),
        pytest.param(lambda body: sign(body, GOOD).split(",")[1], id="no time"),
        pytest.param(lambda body: sign(body, GOOD).split(",")[0], id="no signature"),
        pytest.param(
            lambda body: sign(body, GOOD).replace("t=", "t=9"), id="another time"
        ),
        pytest.param(lambda _: f"t={int(time.time())},v1=\u00fc\u00df", id="not ASCII"),
        pytest.param(lambda _: f"t={int(time.time())},v1=\ud800", id="surrogate"),
        pytest.param(lambda _: f"t={'9' * 5000},v1=00", id="a huge time"),
        pytest.param(lambda _: "t=nan,v1=00", id="not a number"),
        pytest.param(lambda _: ",=,==,t,v1", id="garbage"),
        pytest.param(lambda _: "\x00", id="NUL"),
        pytest.param(lambda _: "", id="none"),
    ],
)
def test_a_call_that_is_not_proved_is_refused(
    provider: Stripe, body: bytes, signed: Callable[[bytes], str]
) -> None:
    with pytest.raises(InvalidSignature):
        provider.heard(body, signed(body))


def test_a_body_changed_by_a_space_is_refused(provider: Stripe, body: bytes) -> None:
    signature = sign(body, GOOD)
    assert provider.heard(body, signature)
    for changed in (body + b"\n", json.dumps(json.loads(body)).encode(), b""):
        with pytest.raises(InvalidSignature):
            provider.heard(changed, signature)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b"{" * 5000,
        b'{"type": 7}',
        b'{"type": "charge.refunded"}',
        b'{"type": "charge.refunded", "id": "evt_1", "created": 1, "data": {}}',
        b'{"type": "charge.refunded", "id": "evt_1", "created": "now",'
        b' "data": {"object": {"id": "ch_1"}}}',
        b'{"type": "charge.refunded", "id": "evt_1", "created": 1,'
        b' "data": {"object": {"id": "ch_1", "metadata": {"flux_purchase": 7}}}}',
    ],
)
def test_a_signed_body_that_is_no_event_is_refused(
    provider: Stripe, body: bytes
) -> None:
    with pytest.raises(InvalidSignature):
        provider.heard(body, sign(body, GOOD))


def test_without_a_webhook_secret_nothing_is_proved(body: bytes) -> None:
    with pytest.raises(InvalidSignature):
        Stripe("sk_test_1", "").heard(body, sign(body, ""))
