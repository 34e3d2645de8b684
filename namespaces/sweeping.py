"""Purchases that nobody spoke of any more: what was missed is done late, not never.

A webhook can be lost, a worker killed, a job's row deleted. Invariant: what waits in
the tables is found by what it says itself: no job is the only one to know of it.
"""

from datetime import timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from flux_project import jobs
from namespaces import attempts, change
from namespaces.models import ProviderEvent, Purchase

# So late, a job that should have been done is asked for again.
LATE = timedelta(seconds=60)
# Who may have paid is asked about so often, until some time after the checkout's end.
ASK_EVERY = timedelta(minutes=10)
# A provider that knows nothing of a purchase, as after a change of its keys, is not
# asked about it for ever.
ASK_FOR = timedelta(days=8)
# What was never paid is forgotten, with its e-mail address.
UNPAID_KEPT = timedelta(days=30)
AT_ONCE = 200
State = Purchase.State


def sweep(*, late: timedelta = LATE) -> None:
    """Has done what should have been; removes what nobody needs."""
    now = timezone.now()
    with change.transaction():
        attempts.forget()
        for purchase in _of(State.PAID).filter(paid_at__lt=now - late)[:AT_ONCE]:
            _ask("namespaces.provision", purchase.id)
        for event in _unhandled().filter(received_at__lt=now - late)[:AT_ONCE]:
            jobs.defer("namespaces.handle_event", once=event.id, event_id=event.id)
        for purchase in _unasked()[:AT_ONCE]:
            _ask("namespaces.settle", purchase.id)
    forget_unpaid()


def forget_unpaid() -> None:
    """What was never paid, and is long over; with its events, if it has any."""
    old = timezone.now() - UNPAID_KEPT
    with change.transaction():
        gone = _of(State.EXPIRED).filter(created_at__lt=old)[:AT_ONCE]
        ids = list(gone.values_list("id", flat=True))
        ProviderEvent.objects.filter(purchase_id__in=ids).delete()
        Purchase.objects.filter(id__in=ids, state=State.EXPIRED).delete()


def _of(state: "Purchase.State") -> QuerySet[Purchase]:
    return Purchase.objects.filter(state=state).order_by("created_at")


def _unhandled() -> QuerySet[ProviderEvent]:
    return ProviderEvent.objects.filter(handled_at=None).order_by("received_at")


def _unasked() -> QuerySet[Purchase]:
    """Those that may be paid or over, and of which nobody has asked for a while. (The
    provider closes a checkout at its end; until it says so, it may still be paid.)"""
    now = timezone.now()
    quiet = Q(looked_at=None) | Q(looked_at__lt=now - ASK_EVERY)
    return _of(State.PENDING).filter(
        quiet, created_at__lt=now - LATE, created_at__gt=now - ASK_FOR
    )


def _ask(task: str, purchase_id: str) -> None:
    jobs.defer(task, once=purchase_id, purchase_id=purchase_id)
