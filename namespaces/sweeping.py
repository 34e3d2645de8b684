"""Purchases that nobody spoke of any more: what was missed is done late, not never.

A webhook can be lost, a worker killed, a job's row deleted. Invariant: what waits in
the tables is found by what it says itself: no job is the only one to know of it.
"""

from datetime import timedelta

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from flux_project import jobs
from namespaces import attempts, change
from namespaces.models import ProviderEvent, Purchase

# So late, a job that should have been done is asked for again.
LATE = timedelta(seconds=60)
# Who may have paid is asked about so often, until some time after the checkout's end.
ASK_EVERY = timedelta(minutes=10)
# Later, money may still be on its way, or a provider know nothing of it, as after
# a change of its keys.
OLD = timedelta(days=2)
ASK_OLD_EVERY = timedelta(days=1)
# A checkout that is being opened is not known here yet.
OPENING = timedelta(minutes=10)
# What was never paid is forgotten, with its e-mail address.
UNPAID_KEPT = timedelta(days=30)
AT_ONCE = 200
State = Purchase.State


def sweep() -> None:
    """Has done what should have been; removes what nobody needs."""
    now = timezone.now()
    with change.transaction():
        waiting = _of(State.PAID).filter(paid_at__lt=now - LATE, disputed_at=None)
        for purchase in waiting[:AT_ONCE]:
            key = purchase.id
            jobs.defer("namespaces.provision", once=key, purchase_id=key)
        for event in _unhandled().filter(received_at__lt=now - LATE)[:AT_ONCE]:
            jobs.defer("namespaces.handle_event", once=event.id, event_id=event.id)
    with change.transaction():
        unasked = list(_unasked()[:AT_ONCE])
        for purchase in unasked:
            key, priority = purchase.id, jobs.SWEEP
            jobs.defer(
                "namespaces.settle", once=key, priority=priority, purchase_id=key
            )
        # So that those of which the answer never comes do not stand before the others.
        asked = Purchase.objects.filter(id__in=[one.id for one in unasked])
        asked.update(looked_at=now)
    forget_unpaid()
    with change.transaction():
        attempts.forget()


def forget_unpaid() -> None:
    """What was never paid, and is long over; with its events, if it has any."""
    old = timezone.now() - UNPAID_KEPT
    with change.transaction():
        # Locked, as one that is paid at this moment is not to be forgotten.
        rows = _of(State.EXPIRED).select_for_update(skip_locked=True)
        gone = rows.filter(created_at__lt=old, trouble="")[:AT_ONCE]
        ids = [one.id for one in gone]
        ProviderEvent.objects.filter(purchase_id__in=ids).delete()
        Purchase.objects.filter(id__in=ids).delete()


def _of(state: "Purchase.State") -> QuerySet[Purchase]:
    return Purchase.objects.filter(state=state).order_by("created_at")


def _unhandled() -> QuerySet[ProviderEvent]:
    return ProviderEvent.objects.filter(handled_at=None).order_by("received_at")


def _unasked() -> QuerySet[Purchase]:
    """Those that may be paid or over, and of which nobody has asked for a while. (The
    provider closes a checkout at its end; until it says so, it may still be paid.)"""
    now = timezone.now()
    since = Q(created_at__gt=now - OLD, looked_at__lt=now - ASK_EVERY)
    since |= Q(looked_at__lt=now - ASK_OLD_EVERY) | Q(looked_at=None)
    is_known = ~Q(checkout_ref="") | Q(created_at__lt=now - OPENING)
    rows = Purchase.objects.filter(since, is_known, state=State.PENDING)
    late = rows.filter(created_at__lt=now - LATE)
    return late.order_by(F("looked_at").asc(nulls_first=True))
