"""Webhooks are a reason to ask; what nobody told of is asked about; money goes back.

As in `test_settling`, the provider says what the test tells it to, and jobs are rows.
"""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from flux_project.errors import FluxError
from namespaces import audit, refunding, settling, sweeping
from namespaces.billing import (
    Call,
    Payment,
    PaymentRefused,
)
from namespaces.models import ProviderEvent, Purchase
from tests.support import shopping
from tests.support.shopping import begun, jobs, now, paid, provisioned
from tests.support.till import Till

State = Purchase.State
NOBODY = audit.Actor("a test", "command")


@pytest.fixture
def till(database: None, settings: object, monkeypatch: pytest.MonkeyPatch) -> Till:
    return shopping.till(settings, monkeypatch)


def priorities() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT task_name, priority FROM procrastinate_jobs")
        return dict(cursor.fetchall())


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
        # Somebody has paid for it: it goes before what is only looked at.
        assert priorities() == {"namespaces.provision": 0}

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

    def test_those_that_fail_do_not_stand_before_the_others(
        self, till: Till, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sweeping, "AT_ONCE", 2)
        made = [begun() for _ in range(5)]
        for age, purchase in enumerate(reversed(made)):
            self.past(purchase, created_at=timedelta(minutes=2 + age))
        for _ in range(3):
            sweeping.sweep()
        asked = {job["purchase_id"] for job in jobs("settle")}
        assert asked == {purchase.id for purchase in made}

    def test_a_checkout_that_is_being_opened_is_left_alone(self, till: Till) -> None:
        purchase = begun()
        Purchase.objects.update(checkout_ref="")
        self.past(purchase, created_at=timedelta(minutes=9))
        sweeping.sweep()
        assert jobs("settle") == []
        self.past(purchase, created_at=timedelta(minutes=11))
        sweeping.sweep()
        assert len(jobs("settle")) == 1

    def test_what_is_old_is_asked_about_once_a_day(self, till: Till) -> None:
        """Some money takes two weeks."""
        purchase = begun()
        for asked, count in ((23, 0), (25, 1)):
            ages = {
                "created_at": timedelta(days=12),
                "looked_at": timedelta(hours=asked),
            }
            self.past(purchase, **ages)
            sweeping.sweep()
            assert len(jobs("settle")) == count

    def test_what_is_disputed_waits(self, till: Till) -> None:
        purchase = begun()
        till.take(purchase.id, is_disputed=True)
        settling.settle(purchase.id)
        self.empty_jobs()
        self.past(purchase, paid_at=timedelta(minutes=2))
        sweeping.sweep()
        assert jobs("provision") == []

    def test_what_somebody_must_look_at_is_not_forgotten(self, till: Till) -> None:
        purchase = begun()
        Purchase.objects.update(state=State.EXPIRED, trouble="of another sum")
        self.past(purchase, created_at=timedelta(days=31))
        sweeping.sweep()
        assert Purchase.objects.count() == 1

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
        # Had this process ended in between, the job would have heard of it.
        assert jobs("settle") == [{"purchase_id": purchase.id}]

    def test_what_was_paid_otherwise_than_ordered_goes_back_too(
        self, till: Till
    ) -> None:
        purchase = begun()
        till.take(purchase.id, amount=100)
        settling.settle(purchase.id)
        refunding.refund(purchase.id, NOBODY, because="of another sum")
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
