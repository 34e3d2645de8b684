"""The fake Stripe is as strict as Stripe, and its checkout and webhooks are real."""

import json

import httpx
import pytest

from namespaces.billing import InvalidSignature
from namespaces.billing.stripe import Stripe
from tests.support import fake_api
from tests.support.stripe_client import BACK_URL, DONE_URL, ORDER, opened
from tests.support.stripe_fake import StripeFake

SESSIONS = "/v1/checkout/sessions"
FORM = {
    "mode": "payment",
    "line_items[0][price_data][currency]": "usd",
    "line_items[0][price_data][unit_amount]": "900",
    "line_items[0][price_data][product_data][name]": "Flux namespace",
    "line_items[0][quantity]": "1",
    "success_url": DONE_URL,
}


def post(
    fake: StripeFake, form: dict[str, str], **headers: str
) -> tuple[int, str | None]:
    """What was answered: the status and an error's code or type."""
    sent = {
        "Authorization": f"Bearer {fake.secret_key}",
        "Stripe-Version": "2026-10-28.endive",
        "Idempotency-Key": "a key",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    answer = httpx.post(fake.url + SESSIONS, data=form, headers=sent, trust_env=False)
    error = answer.json().get("error", {})
    return answer.status_code, error.get("code") or error.get("type")


def test_a_call_as_the_reference_says_is_taken(stripe_fake: StripeFake) -> None:
    assert post(stripe_fake, FORM) == (200, None)


@pytest.mark.parametrize("missing", FORM)
def test_a_call_without_a_required_parameter_is_refused(
    stripe_fake: StripeFake, missing: str
) -> None:
    form = {name: value for name, value in FORM.items() if name != missing}
    assert post(stripe_fake, form) == (400, "parameter_missing")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"colour": "red"}, "parameter_unknown"),
        ({"line_items[0][colour]": "red"}, "parameter_unknown"),
        ({"metadata": "x"}, "parameter_unknown"),
        ({"mode": "gift"}, "parameter_invalid"),
        ({"success_url": "/done"}, "parameter_invalid"),
        ({"customer_email": "ada"}, "email_invalid"),
        ({"expires_at": "1"}, "invalid_request_error"),
    ],
)
def test_a_call_that_stripe_would_not_understand_is_refused(
    stripe_fake: StripeFake, more: dict[str, str], code: str
) -> None:
    assert post(stripe_fake, FORM | more) == (400, code)


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("Authorization", "Bearer sk_test_wrong", 401),
        ("Stripe_Version", "", 400),
        ("Idempotency_Key", "", 400),
        ("Content_Type", "application/json", 400),
    ],
)
def test_a_call_without_a_header_that_the_sdk_sends_is_refused(
    stripe_fake: StripeFake, header: str, value: str, status: int
) -> None:
    assert post(stripe_fake, FORM, **{header: value})[0] == status


def test_a_key_stands_for_one_request(stripe_fake: StripeFake) -> None:
    assert post(stripe_fake, FORM) == (200, None)
    assert post(stripe_fake, FORM) == (200, None)
    assert post(stripe_fake, FORM | {"locale": "de"}) == (400, "idempotency_error")
    assert len(stripe_fake.sessions) == 1
    assert post(stripe_fake, FORM, Idempotency_Key="another") == (200, None)
    assert len(stripe_fake.sessions) == 2


@pytest.mark.parametrize(
    ("button", "to", "payment_status"),
    [
        ("pay", DONE_URL, "paid"),
        ("transfer", DONE_URL, "unpaid"),
        ("cancel", BACK_URL, "unpaid"),
    ],
)
def test_a_buyer_pays_on_the_checkout_page(
    provider: Stripe, stripe_fake: StripeFake, button: str, to: str, payment_status: str
) -> None:
    checkout = provider.open(ORDER, done_url=DONE_URL, back_url=BACK_URL)
    page = httpx.get(checkout.url, trust_env=False)
    assert "Pay 9.00 USD" in page.text
    assert "ada@example.org" in page.text

    sent = httpx.post(checkout.url, data={"do": button}, trust_env=False)

    assert (sent.status_code, sent.headers["Location"]) == (303, to)
    assert stripe_fake.sessions[checkout.ref]["payment_status"] == payment_status


def test_an_expired_checkout_has_no_page_to_pay_on(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    checkout = provider.open(ORDER, done_url=DONE_URL, back_url=BACK_URL)
    stripe_fake.expire(checkout.ref)
    assert httpx.get(checkout.url, trust_env=False).status_code == 410


def test_events_are_delivered_in_the_order_they_were_made(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    order = opened(provider)
    with fake_api.serving() as webhook:
        stripe_fake.deliver_all_to(webhook.url)
        stripe_fake.pay(order.checkout_ref)
        stripe_fake.refund(order.checkout_ref)
        stripe_fake.wait_until_delivered()
        stripe_fake.deliver_all_to("")
        stripe_fake.dispute(order.checkout_ref)

    kinds = [json.loads(asked.body)["type"] for asked in webhook.asked]
    assert kinds == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
        "refund.created",
        "charge.refunded",
    ]
    assert [one.status for one in stripe_fake.deliveries] == [200] * 6


def test_an_event_is_delivered_as_the_test_wants(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    event = stripe_fake.pay(opened(provider).checkout_ref)
    with fake_api.serving() as webhook:
        stripe_fake.deliver(event, to=webhook.url)
        stripe_fake.deliver(event, to=webhook.url, secret="whsec_wrong")
        stripe_fake.deliver(event, to=webhook.url, age_seconds=600)
        stripe_fake.deliver(event, to=webhook.url, body=event.body + b" ")
    proved = [_is_proved(provider, asked) for asked in webhook.asked]
    assert proved == [True, False, False, False]
    assert stripe_fake.deliver(event, to=webhook.url) == 0  # nobody is there any more


def _is_proved(provider: Stripe, asked: fake_api.Asked) -> bool:
    try:
        return provider.heard(asked.body, asked.headers["stripe-signature"]) is not None
    except InvalidSignature:
        return False
