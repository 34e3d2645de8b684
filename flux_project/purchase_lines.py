"""Purchases as the admin's templates show them: amounts and times in words.

Invariant: an amount is never shown without its currency, and what is no money is said
to be none.
"""

from collections.abc import Sequence
from datetime import datetime

from django import forms
from msgspec import Struct

from flux_project import charts
from flux_project.charts import Chart
from namespaces import aftercare, money, refunding, takings
from namespaces.models import Purchase
from namespaces.takings import Month

MAX_REASON_CHARACTERS = 500
# Those whose purchases bring nothing, and why.
_NO_MONEY = {
    "demo": "Tried out on the demo's checkout: no money moved.",
    "free": "Given away: nothing was paid.",
}


class RefundForm(forms.Form):
    because = forms.CharField(
        label="Reason",
        max_length=MAX_REASON_CHARACTERS,
        help_text="For the audit log.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class Step(Struct, frozen=True):
    """A moment of a purchase. is_bad: it is nothing one hopes for."""

    at: datetime
    what: str
    is_bad: bool = False


class Line(Struct, frozen=True):
    """A purchase. back: what is left to give back, refunded: what was given back, ""
    if nothing. receipt: the address of the provider's, "" if it has none."""

    purchase: Purchase
    price: str
    back: str
    refunded: str
    is_stuck: bool
    receipt: str
    no_money: str
    may_resend: bool
    may_refund: bool
    may_ask: bool


def line(purchase: Purchase) -> Line:
    currency, back = purchase.currency, purchase.amount - purchase.refunded
    url = purchase.receipt_url
    return Line(
        purchase,
        price=money.shown(purchase.amount, currency),
        back=money.shown(back, currency),
        refunded=money.shown(purchase.refunded, currency) if purchase.refunded else "",
        is_stuck=takings.is_stuck(purchase),
        receipt=url if url.startswith("https://") else "",
        no_money=_NO_MONEY.get(purchase.provider, ""),
        may_resend=aftercare.may_resend(purchase),
        may_refund=refunding.may_refund(purchase),
        may_ask=aftercare.may_ask(purchase),
    )


def steps(purchase: Purchase) -> list[Step]:
    """What has happened to it, in order."""
    is_expired = purchase.state == Purchase.State.EXPIRED
    known = (
        (purchase.created_at, "begun", False),
        (purchase.looked_at if is_expired else None, "expired: it was not paid", True),
        (purchase.paid_at, "paid", False),
        (purchase.provisioned_at, "provisioned: its namespace was made", False),
        (purchase.claimed_at, "claimed: its token was made", False),
        (purchase.disputed_at, "disputed by the buyer's bank", True),
        (purchase.refunded_at, "refunded", True),
    )
    found = [Step(at, what, is_bad) for at, what, is_bad in known if at is not None]
    return sorted(found, key=lambda step: step.at)


class Taken(Struct, frozen=True):
    """A month of a book, in words."""

    name: str
    count: int
    taken: str
    refunded: str
    kept: str


class Book(Struct, frozen=True):
    """What one provider took in one currency. rows: the newest month first."""

    name: str
    no_money: str
    kept: str
    count: int
    most: str
    chart: Chart
    rows: list[Taken]


def books(found: Sequence[Month], now: datetime) -> list[Book]:
    """One for each provider and currency; those with money first."""
    kinds = {(month.provider, month.currency) for month in found}
    ordered = sorted(kinds, key=lambda kind: (kind[0] in _NO_MONEY, kind))
    return [
        _book(provider, currency, _filled(found, provider, currency, now))
        for provider, currency in ordered
    ]


def _filled(
    found: Sequence[Month], provider: str, currency: str, now: datetime
) -> list[Month]:
    """All of the last months; those without a purchase have none."""
    ours = {
        month.begins: month
        for month in found
        if (month.provider, month.currency) == (provider, currency)
    }
    begins = [
        takings.first_of(now, months_ago=ago) for ago in reversed(range(takings.MONTHS))
    ]
    return [ours.get(at) or Month(at, provider, currency, 0, 0, 0) for at in begins]


def _book(provider: str, currency: str, months: Sequence[Month]) -> Book:
    def shown(amount: int) -> str:
        return money.shown(amount, currency)

    no_money = _NO_MONEY.get(provider, "")
    points = [(_name(month), month.kept) for month in months]
    counted = [(_name(month), month.count) for month in months]
    chart = charts.chart(points, show=shown)
    if provider == "free":
        chart = charts.chart(counted, unit="given away")
    return Book(
        name=f"{provider}, {currency.upper()}",
        no_money=no_money,
        kept=shown(sum(month.kept for month in months)),
        count=sum(month.count for month in months),
        most=f"{chart.peak:,}" if provider == "free" else shown(chart.peak),
        chart=chart,
        rows=[
            Taken(
                _name(month),
                month.count,
                taken=shown(month.taken),
                refunded=shown(month.refunded) if month.refunded else "",
                kept=shown(month.kept),
            )
            for month in reversed(months)
        ],
    )


def _name(month: Month) -> str:
    return f"{month.begins:%b %Y}"


def sums(found: Sequence[Month]) -> list[str]:
    """`27.00 EUR`, `9.00 USD`: what these months brought in money."""
    kept: dict[str, int] = {}
    for month in found:
        if month.provider not in _NO_MONEY:
            kept[month.currency] = kept.get(month.currency, 0) + month.kept
    return [money.shown(kept[key], key) for key in sorted(kept)]
