"""What was paid is given, once, whatever happens in between.

The provider here says what the test tells it to; the jobs are rows, and the test does
them in the order and as often as it likes.
"""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from flux_project.errors import FluxError
from namespaces import audit, purchasing, refunding, settling, sweeping, tenancy
from namespaces.billing import (
    Call,
    Payment,
    PaymentRefused,
    ProviderUnavailable,
)
from namespaces.models import Namespace, ProviderEvent, Purchase
from tests.support import shopping
from tests.support.shopping import jobs
from tests.support.till import Till

State = Purchase.State
NOBODY = audit.Actor("a test", "command")


@pytest.fixture
def till(database: None, settings: object, monkeypatch: pytest.MonkeyPatch) -> Till:
    return shopping.till(settings, monkeypatch)


def begun(email: str = "ada@example.org") -> Purchase:
    made = purchasing.begin(email, base_url="http://flux.example", address="192.0.2.1")
    return made.purchase


def now(purchase: Purchase) -> Purchase:
    return Purchase.objects.select_related("namespace").get(id=purchase.id)


def paid(till: Till) -> Purchase:
    purchase = begun()
    till.take(purchase.id)
    settling.settle(purchase.id)
    return now(purchase)


def provisioned(till: Till) -> Purchase:
    purchase = paid(till)
    settling.provision(purchase.id)
    return now(purchase)


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
    assert jobs("send_refund") == [{"purchase_id": purchase.id}]


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


class TestCalls:
    """Webhooks: a reason to ask, once each."""

    def call(self, **about: str) -> Call:
        return Call("evt_1", "checkout.done", 1_700_000_000.0, **about)

    def test_a_call_is_handled_once_however_often_it_comes(self, till: Till) -> None:
        purchase = begun()
        till.take(purchase.id)
        call = self.call(order_id=purchase.id)
        assert settling.note("till", call)
        assert not settling.note("till", call)
        assert jobs("handle_event") == [{"event_id": "evt_1"}]
        for _ in range(2):
            settling.handle("evt_1")
        assert now(purchase).state == State.PAID
        assert till.looks == [purchase.id]
        assert ProviderEvent.objects.get().purchase_id == purchase.id

    def test_a_call_that_lies_gives_nothing(self, till: Till) -> None:
        """Only what the provider answers counts: it says that nothing was paid."""
        purchase = begun()
        settling.note("till", self.call(order_id=purchase.id))
        settling.handle("evt_1")
        assert now(purchase).state == State.PENDING

    def test_a_call_about_nobody_we_know_is_put_aside(self, till: Till) -> None:
        settling.note("till", self.call(order_id="pur_unknown"))
        settling.handle("evt_1")
        event = ProviderEvent.objects.get()
        assert event.handled_at is not None
        assert event.purchase is None

    @pytest.mark.parametrize("by", ["checkout_ref", "payment_ref", "asking"])
    def test_a_call_finds_its_purchase(self, till: Till, by: str) -> None:
        purchase = paid(till)
        begun("somebody.else@example.org")
        about = {
            "checkout_ref": {"checkout_ref": f"co_{purchase.id}"},
            "payment_ref": {"payment_ref": f"pay_{purchase.id}"},
            "asking": {"payment_ref": f"pay_{purchase.id}"},
        }[by]
        if by == "asking":  # we have not heard of its payment yet
            Purchase.objects.filter(id=purchase.id).update(payment_ref="")
        settling.note("till", self.call(**about))
        settling.handle("evt_1")
        assert ProviderEvent.objects.get().purchase_id == purchase.id

    def test_a_checkout_that_was_opened_and_not_written_down_is_found(
        self, till: Till
    ) -> None:
        """The server ended in between; then the buyer paid."""
        purchase = begun()
        Purchase.objects.filter(id=purchase.id).update(checkout_ref="", checkout_url="")
        till.take(purchase.id)
        about = {"order_id": purchase.id, "checkout_ref": "co_found"}
        settling.note("till", self.call(**about))
        settling.handle("evt_1")
        assert now(purchase).checkout_ref == "co_found"
        assert now(purchase).state == State.PAID

    def test_another_providers_call_is_not_ours(self, till: Till) -> None:
        purchase = begun()
        till.take(purchase.id)
        settling.note("other", self.call(order_id=purchase.id))
        settling.handle("evt_1")
        assert now(purchase).state == State.PENDING


class TestSweep:
    """What nobody spoke of is found by what the tables say."""

    def past(self, purchase: Purchase, **fields: timedelta) -> None:
        times = {name: timezone.now() - age for name, age in fields.items()}
        Purchase.objects.filter(id=purchase.id).update(**times)

    def empty_jobs(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM procrastinate_jobs")

    def test_a_paid_purchase_whose_job_is_gone_is_provisioned(self, till: Till) -> None:
        purchase = paid(till)
        self.empty_jobs()
        sweeping.sweep()
        assert jobs("provision") == []
        self.past(purchase, paid_at=timedelta(minutes=2))
        for _ in range(3):
            sweeping.sweep()
        assert jobs("provision") == [{"purchase_id": purchase.id}]

    def test_a_purchase_whose_webhook_was_lost_is_asked_about(self, till: Till) -> None:
        purchase = begun()
        sweeping.sweep()
        assert jobs("settle") == []
        self.past(purchase, created_at=timedelta(minutes=2))
        sweeping.sweep()
        assert jobs("settle") == [{"purchase_id": purchase.id}]
        self.empty_jobs()
        settling.settle(purchase.id)
        sweeping.sweep()
        assert jobs("settle") == []

    def test_a_call_whose_job_is_gone_is_handled(self, till: Till) -> None:
        purchase = begun()
        settling.note("till", Call("evt_9", "done", 1.0, order_id=purchase.id))
        self.empty_jobs()
        ProviderEvent.objects.update(received_at=timezone.now() - timedelta(minutes=2))
        sweeping.sweep()
        assert jobs("handle_event") == [{"event_id": "evt_9"}]

    def test_what_was_never_paid_is_forgotten_after_a_month(self, till: Till) -> None:
        kept, gone = begun("kept@example.org"), begun("gone@example.org")
        for one in (kept, gone):
            till.says[one.id] = Payment("closed", 900, "usd")
            settling.note("till", Call(f"evt_{one.id}", "x", 1.0, order_id=one.id))
            settling.handle(f"evt_{one.id}")
        self.past(gone, created_at=timedelta(days=31))
        given = provisioned(till)
        self.past(given, created_at=timedelta(days=400))
        sweeping.sweep()
        left = set(Purchase.objects.values_list("id", flat=True))
        assert left == {kept.id, given.id}


class TestRefunds:
    def test_it_goes_through_the_provider_and_suspends(self, till: Till) -> None:
        purchase = provisioned(till)
        refunding.refund(purchase.id, NOBODY, because="asked for")
        assert till.refunds == [purchase.id]
        assert now(purchase).state == State.REFUNDED

    def test_what_was_not_paid_cannot_be_refunded(self, till: Till) -> None:
        purchase = begun()
        with pytest.raises(refunding.NothingToRefund):
            refunding.refund(purchase.id, NOBODY, because="asked for")
        assert till.refunds == []

    def test_twice_is_once(self, till: Till) -> None:
        purchase = provisioned(till)
        refunding.refund(purchase.id, NOBODY, because="asked for")
        with pytest.raises(refunding.NothingToRefund):
            refunding.refund(purchase.id, NOBODY, because="asked for")
        assert till.refunds == [purchase.id]

    def test_a_provider_that_says_no_changes_nothing(
        self, till: Till, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        purchase = provisioned(till)

        def refuse(order: object) -> None:
            raise PaymentRefused

        monkeypatch.setattr(till, "refund", refuse)
        with pytest.raises(FluxError):
            refunding.refund(purchase.id, NOBODY, because="asked for")
        assert now(purchase).state == State.PROVISIONED
