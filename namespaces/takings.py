"""Purchases for an operator to look through, and what they brought.

Invariant: a page is found by key, and what is summed up or searched is bounded by time
or number, however many purchases there are. A claim secret's digest is not read.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import TruncMonth
from django.utils import timezone
from msgspec import Struct
from procrastinate.contrib.django.models import ProcrastinateJob

from namespaces.models import ProviderEvent, Purchase

PAGE_ROWS = 50
MONTHS = 12
# A paid purchase that has no namespace after this time needs somebody's look.
STUCK_AFTER = timedelta(minutes=1)
STATES = tuple(Purchase.State.values)
SHOWN_EVENTS = 50
SHOWN_JOBS = 20
# So many of the newest jobs are looked through; those that were done are not kept.
JOBS_WINDOW = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE = re.compile(r"([0-9]{1,16})-([0-9A-Za-z_.:]{1,255})", re.ASCII)
_MICROSECOND = timedelta(microseconds=1)
Row = TypeVar("Row")


class Page(Struct, Generic[Row], frozen=True):
    """after: the next page lies behind this place; "": there is none."""

    rows: list[Row]
    after: str


class Month(Struct, frozen=True):
    """What a provider took in one month and currency. begins: at 00:00 UTC on its first
    day. refunded: of that, given back since. Amounts in the currency's smallest unit.
    """

    begins: datetime
    provider: str
    currency: str
    count: int
    taken: int
    refunded: int

    @property
    def kept(self) -> int:
        return self.taken - self.refunded


def page(
    *,
    state: str = "",
    search: str = "",
    only_attention: bool = False,
    after: str = "",
) -> Page[Purchase]:
    """Purchases, the newest first. search: an e-mail address, the id of a purchase or
    the name of a namespace, as a whole; after: what the page before said."""
    found = _searched(_all(), search)
    if state:
        found = found.filter(state=state)
    if only_attention:
        found = found.filter(attention())
    place = _place(after)
    if place is not None:
        at, key = place
        found = found.filter(created_at__lte=at).exclude(created_at=at, id__gte=key)
    rows = list(found.order_by("-created_at", "-id")[: PAGE_ROWS + 1])
    last = rows[PAGE_ROWS - 1] if len(rows) > PAGE_ROWS else None
    return Page(rows[:PAGE_ROWS], _named(last.created_at, last.id) if last else "")


def _all() -> QuerySet[Purchase]:
    return Purchase.objects.defer("claim_digest").select_related("namespace")


def _searched(purchases: QuerySet[Purchase], search: str) -> QuerySet[Purchase]:
    if not search:
        return purchases
    if "@" in search:
        return purchases.filter(email=search.lower())
    if search.startswith("pur_"):
        return purchases.filter(id=search)
    return purchases.filter(namespace__name=search.lower())


def attention() -> Q:
    """Those that somebody should look at; found by the index of the few odd ones."""
    stuck = Q(state=Purchase.State.PAID, paid_at__lt=timezone.now() - STUCK_AFTER)
    disputed = Q(disputed_at__isnull=False) & ~Q(state=Purchase.State.REFUNDED)
    return ~Q(trouble="") | stuck | disputed


def is_stuck(purchase: Purchase) -> bool:
    """Whether it is paid, should have its namespace by now, and has none. (What is
    disputed waits for the end of that.)"""
    at = purchase.paid_at
    is_due = purchase.state == Purchase.State.PAID and purchase.disputed_at is None
    return is_due and at is not None and at < timezone.now() - STUCK_AFTER


def waiting_for_attention(*, most: int) -> int:
    """How many need it; counted up to `most`."""
    return Purchase.objects.filter(attention())[:most].count()


def one(purchase_id: str) -> Purchase | None:
    """With its namespace."""
    return _all().filter(id=purchase_id).first()


def events(purchase: Purchase) -> list[ProviderEvent]:
    """The provider's newest calls about it; also those that wait to be handled."""
    is_its = Q(purchase_id=purchase.id)
    names_it = Q(order_id=purchase.id)
    if purchase.checkout_ref:
        names_it |= Q(checkout_ref=purchase.checkout_ref)
    waiting = Q(handled_at=None) & Q(provider=purchase.provider) & names_it
    handled = ProviderEvent.objects.filter(is_its).order_by("-received_at")
    unhandled = ProviderEvent.objects.filter(waiting).order_by("-received_at")
    both = [*unhandled[:SHOWN_EVENTS], *handled[:SHOWN_EVENTS]]
    found = {one.id: one for one in both}.values()
    newest = sorted(found, key=lambda one: one.received_at, reverse=True)
    return newest[:SHOWN_EVENTS]


def jobs(purchase_id: str) -> list[ProcrastinateJob]:
    """What is still to be done about it, or has failed, among the newest jobs."""
    newest = ProcrastinateJob.objects.order_by("-id").values("id")[:JOBS_WINDOW]
    found = ProcrastinateJob.objects.filter(
        id__in=newest, args__purchase_id=purchase_id
    ).exclude(status="succeeded")
    return list(found.order_by("-id")[:SHOWN_JOBS])


def strangers(*, after: str = "") -> Page[ProviderEvent]:
    """Calls of a provider that are about no purchase we know of, the newest first."""
    found = ProviderEvent.objects.filter(purchase=None, handled_at__isnull=False)
    place = _place(after)
    if place is not None:
        at, key = place
        found = found.filter(received_at__lte=at).exclude(received_at=at, id__gte=key)
    rows = list(found.order_by("-received_at", "-id")[: PAGE_ROWS + 1])
    last = rows[PAGE_ROWS - 1] if len(rows) > PAGE_ROWS else None
    return Page(rows[:PAGE_ROWS], _named(last.received_at, last.id) if last else "")


def months(*, last: int = MONTHS, now: datetime | None = None) -> list[Month]:
    """What was paid in each of the last months, this one included, by the calendar of
    UTC; a month, provider and currency without a purchase is not among them. The oldest
    first."""
    since = first_of(now or timezone.now(), months_ago=last - 1)
    found = (
        Purchase.objects.filter(paid_at__gte=since)
        .annotate(month=TruncMonth("paid_at", tzinfo=UTC))
        .values("month", "provider", "currency")
        .annotate(count=Count("*"), taken=Sum("amount"), back=Sum("refunded"))
        .order_by("month", "provider", "currency")
    )
    return [
        Month(
            begins=row["month"],
            provider=row["provider"],
            currency=row["currency"],
            count=row["count"],
            taken=row["taken"],
            refunded=row["back"],
        )
        for row in found
    ]


def first_of(moment: datetime, *, months_ago: int = 0) -> datetime:
    """The beginning of the moment's month, or of one before it."""
    utc = moment.astimezone(UTC)
    number = utc.year * 12 + utc.month - 1 - months_ago
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)


def _named(at: datetime, key: str) -> str:
    return f"{(at - _EPOCH) // _MICROSECOND}-{key}"


def _place(text: str) -> tuple[datetime, str] | None:
    """None: from the beginning, as what is no place is none."""
    match = _PLACE.fullmatch(text)
    if match is None:
        return None
    return _EPOCH + int(match[1]) * _MICROSECOND, match[2]
