"""Purchases in the admin: what became of each, and what an operator may do about it
(docs/operations.md).

What is done is done by `namespaces.refunding` and `namespaces.aftercare`. Invariant: no
page shows what claims a purchase, and money goes back only by a POST that gives a
reason.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from flux_project import admin_pages, pool, purchase_lines
from flux_project.admin_pages import Page, PagesAdmin
from flux_project.errors import Conflict
from flux_project.purchase_lines import RefundForm
from namespaces import aftercare, naming, refunding, settling, takings, trail
from namespaces.billing import ProviderUnavailable
from namespaces.models import Purchase

ENTRIES = 20
MOST_COUNTED = 100
ATTENTION = "attention"
_ONE = "<slug:purchase_id>/"
_VIEW, _CHANGE = "namespaces.view_purchase", "namespaces.change_purchase"
# What a form says by itself; the database's own trouble is a page's.
_REFUSALS = (
    Conflict,
    ProviderUnavailable,
    settling.ChangedMeanwhile,
    naming.NoNameLeft,
)


@admin.register(Purchase)
class PurchaseAdmin(PagesAdmin):
    """All of their pages; what is done to one is a page of its own, which asks."""

    pages: ClassVar = [
        Page("", "listing", "changelist", _VIEW),
        Page("revenue/", "revenue", "revenue", _VIEW),
        Page("calls/", "strangers", "calls", _VIEW),
        Page(f"{_ONE}change/", "details", "change", _VIEW),
        Page(f"{_ONE}resend/", "resend", "resend", _CHANGE, changes=True),
        Page(f"{_ONE}refund/", "refund", "refund", _CHANGE, changes=True),
        Page(f"{_ONE}ask/", "ask", "ask", _CHANGE, changes=True),
    ]

    def listing(self, request: HttpRequest) -> HttpResponse:
        given = request.GET
        state = given.get("state", "")
        page = takings.page(
            state=state if state in takings.STATES else "",
            search=_text(given.get("search", "")),
            only_attention=state == ATTENTION,
            after=given.get("after", ""),
        )
        odd = takings.waiting_for_attention(most=MOST_COUNTED)
        month = takings.months(last=1)
        return self.page(
            request,
            "purchases/list.html",
            title="Purchases",
            page=page,
            lines=[purchase_lines.line(one) for one in page.rows],
            states=takings.STATES,
            odd=f"{odd}+" if odd == MOST_COUNTED else str(odd),
            month=timezone.now(),
            brought=purchase_lines.sums(month),
            bought=sum(one.count for one in month),
        )

    def details(self, request: HttpRequest, purchase_id: str) -> HttpResponse:
        purchase = _found(purchase_id)
        entries = None
        if request.user.has_perm("namespaces.view_auditentry"):
            with pool.connection() as connection:
                found = trail.page(connection, search=purchase_id, limit=ENTRIES)
                entries = found.entries
        return self.page(
            request,
            "purchases/purchase.html",
            title=f"Purchase {purchase.id}",
            line=purchase_lines.line(purchase),
            purchase=purchase,
            steps=purchase_lines.steps(purchase),
            events=takings.events(purchase),
            jobs=takings.jobs(purchase.id),
            entries=entries,
        )

    def revenue(self, request: HttpRequest) -> HttpResponse:
        now = timezone.now()
        books = purchase_lines.books(takings.months(now=now), now)
        return self.page(
            request, "purchases/revenue.html", title="Revenue", books=books
        )

    def strangers(self, request: HttpRequest) -> HttpResponse:
        return self.page(
            request,
            "purchases/calls.html",
            title="Calls of no known purchase",
            page=takings.strangers(after=request.GET.get("after", "")),
        )

    def resend(self, request: HttpRequest, purchase_id: str) -> HttpResponse:
        form = _form(request, forms.Form)
        actor = admin_pages.actor(request)
        if _is_done(request, form, lambda: aftercare.resend(purchase_id, actor)):
            return _back(request, purchase_id, "The receipt is sent again.")
        return self._ask(request, "resend", "Send the receipt again", form, purchase_id)

    def refund(self, request: HttpRequest, purchase_id: str) -> HttpResponse:
        form = _form(request, RefundForm)
        actor = admin_pages.actor(request)

        def give_back() -> None:
            because = form.cleaned_data["because"]
            refunding.refund(purchase_id, actor, because=because)

        if _is_done(request, form, give_back):
            now = _found(purchase_id)
            said = f"{purchase_lines.line(now).refunded} was given back."
            if now.state != Purchase.State.REFUNDED:
                said = "The provider was told, and has not confirmed it yet."
            return _back(request, purchase_id, said)
        return self._ask(request, "refund", "Refund", form, purchase_id)

    def ask(self, request: HttpRequest, purchase_id: str) -> HttpResponse:
        form = _form(request, forms.Form)
        actor = admin_pages.actor(request)
        if _is_done(request, form, lambda: aftercare.ask_again(purchase_id, actor)):
            state = _found(purchase_id).state
            said = f"The provider was asked just now: this purchase is {state}."
            return _back(request, purchase_id, said)
        return self._ask(request, "ask", "Ask the provider again", form, purchase_id)

    def _ask(
        self,
        request: HttpRequest,
        what: str,
        title: str,
        form: forms.Form,
        purchase_id: str,
    ) -> HttpResponse:
        """The page between wanting and doing: it says what will happen."""
        purchase = _found(purchase_id)
        line = purchase_lines.line(purchase)
        return self.page(
            request,
            f"purchases/{what}.html",
            title=title,
            line=line,
            may=getattr(line, f"may_{what}"),
            purchase=purchase,
            form=form,
        )


def _found(purchase_id: str) -> Purchase:
    """Raises PurchaseNotFound."""
    found = takings.one(purchase_id)
    if found is None:
        raise refunding.PurchaseNotFound
    return found


def _form(request: HttpRequest, kind: type[forms.Form]) -> Any:
    """Filled in with what was sent, if something was."""
    return kind(request.POST if request.method == "POST" else None)


def _is_done(request: HttpRequest, form: forms.Form, do: Callable[[], None]) -> bool:
    """False: nothing was asked for yet, or the form says why not."""
    if request.method != "POST" or not form.is_valid():
        return False
    try:
        do()
    except _REFUSALS as error:
        admin_pages.refused(form, error)
        return False
    return True


def _back(request: HttpRequest, purchase_id: str, said: str) -> HttpResponse:
    where = reverse("admin:namespaces_purchase_change", args=[purchase_id])
    return admin_pages.done(request, said, where)


def _text(given: str) -> str:
    """What PostgreSQL can compare with a text: none has a NUL."""
    return given.replace("\0", "").strip()
