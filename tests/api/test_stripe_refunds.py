"""The Stripe provider gives money back, and knows whose payment a call is about."""

import pytest
from msgspec import structs

from namespaces.billing import Call, PaymentRefused, ProviderUnavailable
from namespaces.billing.stripe import Stripe
from tests.support.stripe_client import opened
from tests.support.stripe_fake import StripeFake


def test_a_refund_gives_all_back_once(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    order = opened(provider)
    stripe_fake.pay(order.checkout_ref)

    provider.refund(order)
    provider.refund(order)

    [refund] = stripe_fake.refunds.values()
    assert (refund["amount"], refund["metadata"]) == (900, {"flux_purchase": "pur_1"})
    keys = {call.key for call in stripe_fake.calls_of("POST", "/v1/refunds")}
    assert all(key.startswith("flux-refund-pur_1-") for key in keys)
    assert len(keys) <= 2  # one, or two when the hour ended in between
    assert provider.look(order).status == "refunded"


def test_a_refund_gives_back_what_is_left(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    order = opened(provider)
    stripe_fake.pay(order.checkout_ref)
    stripe_fake.refund(order.checkout_ref, 300)
    provider.refund(order)
    assert [one["amount"] for one in stripe_fake.refunds.values()] == [300, 600]


def test_a_refund_of_what_was_given_back_elsewhere_is_fine(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    order = opened(provider)
    stripe_fake.pay(order.checkout_ref)
    stripe_fake.refund(order.checkout_ref)
    provider.refund(order)
    assert len(stripe_fake.refunds) == 1


def test_a_refund_whose_answer_was_lost_is_not_made_twice(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    order = opened(provider)
    stripe_fake.pay(order.checkout_ref)
    paid = structs.replace(order, payment_ref=provider.look(order).payment_ref)
    stripe_fake.fail_next(1, "lose")
    with pytest.raises(ProviderUnavailable):
        provider.refund(paid)
    provider.refund(paid)
    assert len(stripe_fake.refunds) == 1


def test_what_was_not_paid_is_not_given_back(provider: Stripe) -> None:
    with pytest.raises(PaymentRefused, match="Nothing was paid"):
        provider.refund(opened(provider))


def test_what_the_bank_asked_for_is_not_given_back_too(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    order = opened(provider)
    stripe_fake.pay(order.checkout_ref)
    stripe_fake.dispute(order.checkout_ref)
    with pytest.raises(PaymentRefused, match="bank"):
        provider.refund(order)
    assert stripe_fake.refunds == {}


def test_a_refund_that_failed_is_said(
    provider: Stripe, stripe_fake: StripeFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = opened(provider)
    stripe_fake.pay(order.checkout_ref)
    failed = {"id": "re_1", "object": "refund", "status": "failed"}
    monkeypatch.setattr(stripe_fake, "_give_back", lambda *_: failed)
    with pytest.raises(PaymentRefused, match="could not give"):
        provider.refund(order)


def test_a_call_about_a_payment_is_about_its_order(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    order = opened(provider)
    stripe_fake.pay(order.checkout_ref)
    intent = stripe_fake.charge_of(order.checkout_ref)["payment_intent"]
    call = Call("evt_1", "charge.dispute.created", 1.0, payment_ref=intent)
    assert provider.order_of(call) == "pur_1"


def test_a_call_that_names_its_order_asks_nothing(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    call = Call("evt_1", "charge.refunded", 1.0, order_id="pur_7", payment_ref="pi_1")
    assert provider.order_of(call) == "pur_7"
    assert stripe_fake.calls == []


def test_a_payment_of_another_product_is_of_no_order(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    order = opened(provider)
    stripe_fake.pay(order.checkout_ref)
    intent = stripe_fake.charge_of(order.checkout_ref)["payment_intent"]
    stripe_fake.intents[intent]["metadata"] = {"sku": "a mug"}
    for ref in (intent, "pi_of_another_account", ""):
        call = Call("evt_1", "charge.dispute.created", 1.0, payment_ref=ref)
        assert provider.order_of(call) == ""
