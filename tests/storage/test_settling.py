"""What was paid is given, once, whatever happens in between.

The provider here says what the test tells it to; the jobs are rows, and the test does
them in the order and as often as it likes.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from namespaces import audit, settling, tenancy
from namespaces.billing import (
    Checkout,
    Order,
    Payment,
    ProviderUnavailable,
)
from namespaces.models import Namespace, Purchase
from tests.support import shopping
from tests.support.shopping import begun, jobs, now, paid, provisioned
from tests.support.till import Till

State = Purchase.State
NOBODY = audit.Actor("a test", "command")


@pytest.fixture
def till(database: None, settings: object, monkeypatch: pytest.MonkeyPatch) -> Till:
    return shopping.till(settings, monkeypatch)


def test_what_the_provider_says_is_paid_becomes_one_namespace(till: Till) -> None:
    purchase = begun()
    settling.settle(purchase.id)
    assert now(purchase).state == State.PENDING
    assert jobs("provision") == []
    till.take(purchase.id)
    settling.settle(purchase.id)
    found = now(purchase)
    assert (found.state, found.namespace) == (State.PAID, None)
    assert found.payment_ref == f"pay_{purchase.id}"
    assert jobs("provision") == [{"purchase_id": purchase.id}]
    settling.provision(purchase.id)
    found = now(purchase)
    assert found.state == State.PROVISIONED
    assert found.namespace is not None
    assert found.namespace.owner is not None
    assert found.namespace.owner.email == "ada@example.org"
    assert jobs("send_receipt") == [{"purchase_id": purchase.id}]


def test_each_step_again_changes_nothing(till: Till) -> None:
    purchase = provisioned(till)
    for _ in range(2):
        settling.settle(purchase.id)
        settling.provision(purchase.id)
    found = now(purchase)
    assert found.namespace_id == purchase.namespace_id
    assert found.provisioned_at == purchase.provisioned_at
    assert Namespace.objects.count() == 1
    assert len(jobs("send_receipt")) == 1


def test_of_many_who_provision_at_once_one_does(till: Till) -> None:
    purchase = paid(till)

    def provision(_: int) -> None:
        try:
            settling.provision(purchase.id)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(provision, range(12)))
    assert Namespace.objects.count() == 1
    assert len(jobs("send_receipt")) == 1


@pytest.mark.parametrize("status", ["open", "closed"])
def test_nothing_is_given_unpaid(till: Till, status: str) -> None:
    purchase = begun()
    till.says[purchase.id] = Payment(status, 900, "usd")  # type: ignore[arg-type]  # one of them
    settling.settle(purchase.id)
    settling.provision(purchase.id)
    assert Namespace.objects.count() == 0
    assert jobs("provision") == []


@pytest.mark.parametrize(("amount", "currency"), [(1, "usd"), (900, "jpy")])
def test_another_sum_than_was_ordered_gives_nothing_and_is_shown(
    till: Till, amount: int, currency: str
) -> None:
    purchase = begun()
    till.take(purchase.id, amount=amount, currency=currency)
    settling.settle(purchase.id)
    found = now(purchase)
    assert found.state == State.PENDING
    assert "not of 9.00 USD" in found.trouble
    assert jobs("provision") == []


def test_what_was_paid_after_its_end_is_not_lost(till: Till) -> None:
    purchase = begun()
    till.says[purchase.id] = Payment("closed", 900, "usd")
    settling.settle(purchase.id)
    assert now(purchase).state == State.EXPIRED
    till.take(purchase.id)
    settling.settle(purchase.id)
    assert now(purchase).state == State.PAID


def test_a_provider_that_is_away_changes_nothing(till: Till) -> None:
    purchase = begun()
    till.is_away = True
    with pytest.raises(ProviderUnavailable):
        settling.settle(purchase.id)
    assert now(purchase).state == State.PENDING


def test_an_older_answer_is_not_used(till: Till) -> None:
    """Asked before, used after: meanwhile it was refunded, and somebody knew."""
    purchase = provisioned(till)
    older, newer = till.says[purchase.id], Payment("refunded", 900, "usd", refunded=900)

    def meanwhile() -> None:
        till.after_look = lambda: None
        till.says[purchase.id] = newer
        settling.settle(purchase.id)
        till.says[purchase.id] = older

    disputed = Payment("paid", 900, "usd", is_disputed=True)
    till.says[purchase.id] = disputed
    till.after_look = meanwhile
    settling.settle(purchase.id)
    assert now(purchase).state == State.REFUNDED
    assert now(purchase).disputed_at is None
    assert till.looks[-1] == purchase.id


def test_a_refund_suspends_the_namespace(till: Till) -> None:
    purchase = provisioned(till)
    till.says[purchase.id] = Payment("refunded", 900, "usd", refunded=900)
    settling.settle(purchase.id)
    settling.settle(purchase.id)
    found = now(purchase)
    assert (found.state, found.refunded) == (State.REFUNDED, 900)
    assert found.namespace is not None
    assert found.namespace.suspended_because == settling.REFUNDED
    assert found.paid_at is not None
    assert jobs("send_refund") == [{"purchase_id": purchase.id}]


def test_a_refund_goes_above_other_reasons(till: Till) -> None:
    """Else who lifts the other one would let write what was paid back."""
    purchase = provisioned(till)
    assert purchase.namespace is not None
    tenancy.suspend(purchase.namespace.name, NOBODY, because="abuse")
    till.says[purchase.id] = Payment("refunded", 900, "usd", refunded=900)
    settling.settle(purchase.id)
    found = now(purchase).namespace
    assert found is not None
    assert found.suspended_because == settling.REFUNDED


def test_another_sum_that_went_back_is_over(till: Till) -> None:
    purchase = begun()
    till.take(purchase.id, amount=100)
    settling.settle(purchase.id)
    till.says[purchase.id] = Payment("refunded", 100, "usd", refunded=100)
    settling.settle(purchase.id)
    found = now(purchase)
    assert (found.state, found.trouble, found.namespace) == (State.REFUNDED, "", None)


def test_what_was_given_up_too_early_is_not_lost(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep looked while the provider was still opening the checkout."""
    opened = till.open

    def slow(order: Order, *, done_url: str, back_url: str) -> Checkout:
        till.says[order.id] = Payment("closed", 900, "usd")
        settling.settle(order.id)
        del till.says[order.id]
        return opened(order, done_url=done_url, back_url=back_url)

    monkeypatch.setattr(till, "open", slow)
    purchase = begun()
    assert now(purchase).state == State.PENDING
    till.take(purchase.id)
    settling.settle(purchase.id)
    assert now(purchase).state == State.PAID


def test_a_part_of_it_given_back_suspends_nobody(till: Till) -> None:
    purchase = provisioned(till)
    till.take(purchase.id, refunded=300)
    settling.settle(purchase.id)
    found = now(purchase)
    assert (found.state, found.refunded) == (State.PROVISIONED, 300)
    assert found.namespace is not None
    assert found.namespace.suspended_at is None


def test_what_was_refunded_before_it_was_given_is_never_given(till: Till) -> None:
    purchase = paid(till)
    till.says[purchase.id] = Payment("refunded", 900, "usd", refunded=900)
    settling.settle(purchase.id)
    settling.provision(purchase.id)
    assert now(purchase).state == State.REFUNDED
    assert Namespace.objects.count() == 0


def test_a_dispute_suspends_until_it_is_won(till: Till) -> None:
    purchase = provisioned(till)
    till.take(purchase.id, is_disputed=True)
    settling.settle(purchase.id)
    found = now(purchase).namespace
    assert found is not None
    assert found.suspended_because == settling.DISPUTED
    till.take(purchase.id)
    settling.settle(purchase.id)
    found = now(purchase).namespace
    assert found is not None
    assert found.suspended_at is None


def test_a_dispute_that_is_won_leaves_an_operators_suspension(till: Till) -> None:
    purchase = provisioned(till)
    assert purchase.namespace is not None
    tenancy.suspend(purchase.namespace.name, NOBODY, because="abuse")
    till.take(purchase.id, is_disputed=True)
    settling.settle(purchase.id)
    till.take(purchase.id)
    settling.settle(purchase.id)
    found = now(purchase).namespace
    assert found is not None
    assert found.suspended_because == "abuse"


@pytest.mark.parametrize("how", ["refund", "dispute"])
def test_an_operator_who_lifts_a_suspension_is_not_overruled(
    till: Till, how: str
) -> None:
    purchase = provisioned(till)
    assert purchase.namespace is not None
    if how == "refund":
        till.says[purchase.id] = Payment("refunded", 900, "usd", refunded=900)
    else:
        till.take(purchase.id, is_disputed=True)
    settling.settle(purchase.id)
    tenancy.resume(purchase.namespace.name, NOBODY)
    settling.settle(purchase.id)
    found = now(purchase).namespace
    assert found is not None
    assert found.suspended_at is None


def test_what_is_disputed_is_given_when_the_dispute_is_won(till: Till) -> None:
    purchase = begun()
    till.take(purchase.id, is_disputed=True)
    settling.settle(purchase.id)
    settling.provision(purchase.id)
    assert now(purchase).state == State.PAID
    assert Namespace.objects.count() == 0
    till.take(purchase.id)
    settling.settle(purchase.id)
    settling.provision(purchase.id)
    assert now(purchase).state == State.PROVISIONED


def test_a_name_that_was_just_taken_is_not_given_twice(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenancy.register("taken-just-now", NOBODY)
    proposed = iter(["taken-just-now", "still-free"])
    monkeypatch.setattr("namespaces.naming.propose", lambda: next(proposed))
    found = provisioned(till)
    assert found.namespace is not None
    assert found.namespace.name == "still-free"


def test_a_failing_provision_says_why_until_it_is_done(till: Till) -> None:
    purchase = paid(till)
    settling.note_trouble(purchase.id, "NoNameLeft: no name")
    settling.settle(purchase.id)
    assert now(purchase).trouble == "NoNameLeft: no name"
    settling.provision(purchase.id)
    assert now(purchase).trouble == ""
    settling.note_trouble(purchase.id, "too late")
    assert now(purchase).trouble == ""


def test_a_provider_that_says_nothing_is_shown_until_it_does(till: Till) -> None:
    purchase = begun()
    settling.note_silence(purchase.id, "PaymentRefused: its key may not read this")
    assert now(purchase).trouble
    settling.settle(purchase.id)
    assert now(purchase).trouble == ""
