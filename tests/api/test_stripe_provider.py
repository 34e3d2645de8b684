"""The Stripe provider and a fake Stripe: what it asks, what it makes of the answers."""

from typing import Literal, NoReturn

import pytest
import stripe as sdk
from django.test import override_settings
from msgspec import structs

from namespaces.billing import Order, PaymentRefused, ProviderUnavailable, stripe
from namespaces.billing.stripe import Stripe
from tests.support.stripe_client import BACK_URL, DONE_URL, ORDER, client, opened
from tests.support.stripe_fake import StripeFake

SESSIONS = "/v1/checkout/sessions"


def test_a_checkout_is_what_the_order_says(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    made = provider.open(ORDER, done_url=DONE_URL, back_url=BACK_URL)

    [call] = stripe_fake.calls
    assert (call.method, call.path, call.status) == ("POST", SESSIONS, 200)
    assert call.key == "flux-checkout-pur_1"
    assert call.params == {
        "mode": "payment",
        "line_items[0][price_data][currency]": "usd",
        "line_items[0][price_data][unit_amount]": "900",
        "line_items[0][price_data][product_data][name]": "Flux namespace",
        "line_items[0][quantity]": "1",
        "customer_email": "ada@example.org",
        "client_reference_id": "pur_1",
        "metadata[flux_purchase]": "pur_1",
        "payment_intent_data[metadata][flux_purchase]": "pur_1",
        "success_url": DONE_URL,
        "cancel_url": BACK_URL,
    }
    session = stripe_fake.sessions[made.ref]
    assert (made.url, made.expires_at) == (session["url"], session["expires_at"])


def test_an_order_that_is_opened_again_has_the_same_checkout(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    first = provider.open(ORDER, done_url=DONE_URL, back_url=BACK_URL)
    again = provider.open(ORDER, done_url=DONE_URL, back_url=BACK_URL)
    known = structs.replace(ORDER, checkout_ref=first.ref)
    third = provider.open(known, done_url=DONE_URL, back_url="https://other.example")

    assert first == again == third
    assert len(stripe_fake.sessions) == 1


def test_two_orders_have_two_checkouts(provider: Stripe) -> None:
    other = structs.replace(ORDER, id="pur_2")
    assert opened(provider).checkout_ref != opened(provider, other).checkout_ref


def test_a_checkout_whose_answer_was_lost_is_not_made_twice(
    stripe_fake: StripeFake,
) -> None:
    stripe_fake.fail_next(1, "lose")
    made = opened(client(stripe_fake, retries=1))

    assert list(stripe_fake.sessions) == [made.checkout_ref]
    assert [call.status for call in stripe_fake.calls] == [0, 200]


def test_an_order_on_other_terms_is_refused(provider: Stripe) -> None:
    opened(provider)
    with pytest.raises(PaymentRefused, match="other terms"):
        opened(provider, structs.replace(ORDER, amount=901))


@pytest.mark.parametrize("end", ["expire", "pay"])
def test_a_checkout_that_is_over_is_not_opened_again(
    provider: Stripe, stripe_fake: StripeFake, end: Literal["expire", "pay"]
) -> None:
    order = opened(provider)
    getattr(stripe_fake, end)(order.checkout_ref)
    with pytest.raises(PaymentRefused, match="over"):
        opened(provider, order)


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        (structs.replace(ORDER, email="ada"), "does not take this e-mail address"),
        (structs.replace(ORDER, amount=1), "does not take so low a price"),
        (structs.replace(ORDER, currency="dollars"), "parameter_invalid.*req_"),
    ],
)
def test_what_stripe_refuses_is_refused_in_a_sentence(
    provider: Stripe, order: Order, sentence: str
) -> None:
    with pytest.raises(PaymentRefused, match=sentence):
        opened(provider, order)


def test_an_order_that_was_never_opened_is_closed(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    assert provider.look(ORDER).status == "closed"
    assert stripe_fake.calls == []


def test_an_order_is_open_until_it_is_paid(provider: Stripe) -> None:
    order = opened(provider)
    seen = provider.look(order)
    assert (seen.status, seen.amount, seen.currency) == ("open", 900, "usd")
    assert (seen.checkout_ref, seen.payment_ref) == (order.checkout_ref, "")


def test_a_paid_order_has_a_payment_and_a_receipt(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    order = opened(provider)
    stripe_fake.pay(order.checkout_ref)
    charge = stripe_fake.charge_of(order.checkout_ref)

    seen = provider.look(order)

    assert (seen.status, seen.amount, seen.currency) == ("paid", 900, "usd")
    assert seen.payment_ref == charge["payment_intent"]
    assert seen.receipt_url == charge["receipt_url"]
    assert (seen.refunded, seen.is_disputed) == (0, False)
    assert not stripe_fake.calls_of("GET", "/v1/disputes")


def test_money_that_is_on_its_way_is_not_there(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    order = opened(provider)
    stripe_fake.pay_slowly(order.checkout_ref)
    assert provider.look(order).status == "open"
    stripe_fake.arrive(order.checkout_ref)
    assert provider.look(order).status == "paid"


def test_money_that_does_not_arrive_closes_the_order(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    order = opened(provider)
    stripe_fake.pay_slowly(order.checkout_ref)
    stripe_fake.fall_through(order.checkout_ref)
    assert provider.look(order).status == "closed"


def test_an_expired_checkout_closes_the_order(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    order = opened(provider)
    stripe_fake.expire(order.checkout_ref)
    assert provider.look(order).status == "closed"


def test_a_checkout_without_payment_is_not_paid(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    order = opened(provider)
    stripe_fake.sessions[order.checkout_ref].update(
        amount_total=0, payment_status="no_payment_required", status="complete"
    )
    seen = provider.look(order)
    assert (seen.status, seen.amount) == ("closed", 0)


def test_a_refund_of_a_part_leaves_the_order_paid(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    order = opened(provider)
    stripe_fake.pay(order.checkout_ref)
    stripe_fake.refund(order.checkout_ref, 400)
    seen = provider.look(order)
    assert (seen.status, seen.refunded) == ("paid", 400)

    stripe_fake.refund(order.checkout_ref)
    seen = provider.look(order)
    assert (seen.status, seen.refunded) == ("refunded", 900)


@pytest.mark.parametrize("status", ["needs_response", "warning_needs_response"])
def test_a_dispute_lasts_until_it_is_won(
    provider: Stripe, stripe_fake: StripeFake, status: str
) -> None:
    order = opened(provider)
    stripe_fake.pay(order.checkout_ref)
    stripe_fake.dispute(order.checkout_ref, status)
    assert provider.look(order).is_disputed
    stripe_fake.close_dispute(order.checkout_ref, won=True)
    seen = provider.look(order)
    assert (seen.status, seen.is_disputed) == ("paid", False)


def test_the_money_of_a_lost_dispute_went_back(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    order = opened(provider)
    stripe_fake.pay(order.checkout_ref)
    stripe_fake.dispute(order.checkout_ref)
    stripe_fake.close_dispute(order.checkout_ref, won=False)
    seen = provider.look(order)
    assert (seen.status, seen.refunded, seen.is_disputed) == ("refunded", 900, False)


def test_a_checkout_that_stripe_does_not_know_closes_nothing(provider: Stripe) -> None:
    order = structs.replace(ORDER, checkout_ref="cs_test_of_another_account")
    with pytest.raises(PaymentRefused, match="does not know"):
        provider.look(order)


def test_the_provider_is_made_of_the_settings(stripe_fake: StripeFake) -> None:
    with override_settings(**stripe_fake.settings):
        made = stripe.provider()
        assert made.open(ORDER, done_url=DONE_URL, back_url=BACK_URL)
        assert stripe.provider() is made
    other = stripe_fake.settings | {"FLUX_STRIPE_WEBHOOK_SECRET": "whsec_other"}
    with override_settings(**other):
        assert stripe.provider() is not made


def test_by_default_it_is_stripe_that_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def note(_: object, method: str, url: str, *__: object) -> NoReturn:
        asked.append(f"{method} {url}")
        raise sdk.StripeError("not in a test")

    monkeypatch.setattr(sdk.RequestsClient, "request", note)
    with pytest.raises(ProviderUnavailable):
        opened(Stripe("sk_test_1", "whsec_1"))
    assert asked == ["post https://api.stripe.com/v1/checkout/sessions"]
