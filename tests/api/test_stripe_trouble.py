"""The Stripe provider when Stripe fails, and what it keeps to itself."""

import logging

import pytest
from msgspec import structs

from namespaces.billing import Call, PaymentRefused, ProviderUnavailable, stripe
from namespaces.billing.stripe import Stripe
from tests.support.stripe_client import ORDER, client, opened
from tests.support.stripe_fake import BUSY, DECLINED, OUTAGE, StripeFake
from tests.support.stripe_server import Fault


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (OUTAGE, ProviderUnavailable),
        (BUSY, ProviderUnavailable),
        ("drop", ProviderUnavailable),
        ("lose", ProviderUnavailable),
        (DECLINED, PaymentRefused),
    ],
)
def test_each_failure_of_stripe_is_one_of_ours(
    provider: Stripe, stripe_fake: StripeFake, fault: Fault, error: type[Exception]
) -> None:
    order = opened(provider)
    stripe_fake.pay(order.checkout_ref)
    call = Call("evt_1", "refund.created", 1.0, payment_ref="pi_1")
    stripe_fake.fail_next(4, fault)
    with pytest.raises(error):
        opened(provider, structs.replace(ORDER, id="pur_2"))
    with pytest.raises(error):
        provider.look(order)
    with pytest.raises(error):
        provider.refund(order)
    with pytest.raises(error):
        provider.order_of(call)


def test_a_stripe_that_does_not_answer_is_unavailable(stripe_fake: StripeFake) -> None:
    stripe_fake.fail_next(1, "late")
    with pytest.raises(ProviderUnavailable):
        opened(client(stripe_fake, timeout=0.2))


def test_a_stripe_that_nobody_reaches_is_unavailable_until_it_is_back(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    order = opened(provider)
    with stripe_fake.away(), pytest.raises(ProviderUnavailable):
        provider.look(order)
    assert provider.look(order).status == "open"


def test_a_short_outage_is_waited_out(stripe_fake: StripeFake) -> None:
    stripe_fake.fail_next(2, OUTAGE)
    opened(client(stripe_fake, retries=stripe.RETRIES))
    assert [call.status for call in stripe_fake.calls] == [500, 500, 200]
    assert len({call.key for call in stripe_fake.calls}) == 1


def test_a_wrong_key_is_unavailable_and_not_told(stripe_fake: StripeFake) -> None:
    wrong = Stripe("sk_test_wrong_0123456789", "whsec", api=stripe_fake.url, retries=0)
    with pytest.raises(ProviderUnavailable, match="key") as caught:
        opened(wrong)
    assert "sk_test" not in str(caught.value)
    assert caught.value.__suppress_context__  # Stripe's message shows a part of it
    assert caught.value.retry_after == 60


def test_neither_keys_nor_buyers_are_logged(
    provider: Stripe, stripe_fake: StripeFake, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    opened(provider)
    assert "POST /v1/checkout/sessions" in caplog.text  # other lines are
    for secret in (stripe_fake.secret_key, "ada@", "ada%40", "flux_purchase"):
        assert secret not in caplog.text


def test_stripe_is_told_nothing_of_the_host(
    provider: Stripe, stripe_fake: StripeFake
) -> None:
    order = opened(provider)
    provider.look(order)
    for call in stripe_fake.calls:
        assert "x-stripe-client-telemetry" not in call.headers
        assert "platform" not in call.headers["x-stripe-client-user-agent"]
