"""The Stripe provider against stripe-mock, Stripe's own check of calls by its schema.

It answers fixtures whatever was asked before, so what counts is that it takes what we
send; it answers 400 to a parameter that Stripe does not know, or of another form.
"""

import shutil
import subprocess
from collections.abc import Iterator

import httpx
import pytest
import stripe as sdk
from msgspec import structs

from namespaces.billing import Call, PaymentRefused
from namespaces.billing.stripe import Stripe
from tests.support.servers import free_port, wait_for
from tests.support.stripe_client import BACK_URL, DONE_URL, ORDER

MOCK = shutil.which("stripe-mock")
pytestmark = pytest.mark.skipif(MOCK is None, reason="stripe-mock is not on PATH")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    assert MOCK
    port = free_port()
    process = subprocess.Popen(
        [MOCK, "-http-addr", f"127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: _answers(url), what="stripe-mock to answer")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code > 0
    except httpx.TransportError:
        return False


@pytest.fixture
def mocked(address: str) -> Stripe:
    return Stripe("sk_test_123", "whsec_123", api=address, retries=0)


def test_stripe_takes_our_checkout(mocked: Stripe) -> None:
    checkout = mocked.open(ORDER, done_url=DONE_URL, back_url=BACK_URL)
    assert checkout.ref.startswith("cs_")


def test_stripe_would_refuse_a_parameter_that_it_does_not_know(
    mocked: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = sdk.checkout.SessionService
    create = sessions.create
    monkeypatch.setattr(
        sessions,
        "create",
        lambda self, params, options: create(self, params | {"colour": "1"}, options),
    )
    with pytest.raises(PaymentRefused):
        mocked.open(ORDER, done_url=DONE_URL, back_url=BACK_URL)


def test_stripe_takes_our_questions(mocked: Stripe) -> None:
    checkout = mocked.open(ORDER, done_url=DONE_URL, back_url=BACK_URL)
    known = structs.replace(ORDER, checkout_ref=checkout.ref)
    assert mocked.open(known, done_url=DONE_URL, back_url=BACK_URL).ref == checkout.ref
    assert mocked.look(known).checkout_ref == checkout.ref
    call = Call("evt_1", "charge.dispute.created", 1.0, payment_ref="pi_123")
    assert mocked.order_of(call) == ""
    intent, charge = sdk.PaymentIntent(id="pi_123"), sdk.Charge(id="ch_123")
    charge.disputed = True
    assert mocked._disputes(intent, charge)  # as the fixture of a dispute is open


def test_stripe_takes_our_refund(mocked: Stripe) -> None:
    mocked.refund(structs.replace(ORDER, payment_ref="pi_123"))
