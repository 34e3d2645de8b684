"""What an owner sees of a namespace, and does with it and its tokens.

What may be is decided by `namespaces.issuing` and `namespaces.tenancy`, on the locked
row. Invariant: another's namespace is answered like one that does not exist; the text
of a token is in the answer to the POST that made it and nowhere else.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from flux_project import addresses, admin_pages, charts, pool, tenants
from flux_project.errors import Conflict, Forbidden, Invalid
from flux_project.tenant_forms import DeleteForm, RotationForm, TokenForm
from flux_project.tenants import Hour
from namespaces import account_site, issuing, owners, rows, tenancy
from namespaces.account_site import onward, owned
from namespaces.issuing import Made
from namespaces.models import Owner, Token


@owned("GET")
def namespace(request: HttpRequest, owner: Owner, name: str) -> HttpResponse:
    found = owners.namespace(owner, name)
    with pool.connection() as connection:
        tenant = tenants.one(connection, found.name)
        hours = tenants.hours(connection, found.name)
    tokens = Token.objects.filter(namespace=found)
    context = {
        "tenant": tenant,
        # The usable ones first.
        "tokens": list(tokens.order_by("-revoked_at", "-created_at", "id")),
        "stored": _chart(hours, [hour.events for hour in hours], "events"),
        "refused": _chart(hours, [hour.refused for hour in hours], "refused"),
        "now": timezone.now(),
    }
    return render(request, "account/namespace.html", context)


def _chart(hours: list[Hour], values: list[int], unit: str) -> charts.Chart:
    labels = [f"{hour.at:%d %b %H:00}" for hour in hours]
    return charts.chart(list(zip(labels, values, strict=True)), unit=unit)


@owned("GET", "POST")
def make_token(request: HttpRequest, owner: Owner, name: str) -> HttpResponse:
    owners.namespace(owner, name)
    form = TokenForm(request.POST or None, namespace=name)

    def make() -> Made:
        actor = account_site.actor(request, owner)
        return issuing.make(name, form.wanted(), actor, maker=owner)

    return _granted(request, "new_token", name, form, make)


@owned("GET", "POST")
def rotate_token(
    request: HttpRequest, owner: Owner, name: str, token_id: str
) -> HttpResponse:
    token = rows.token(owners.namespace(owner, name), token_id)
    form = RotationForm(request.POST or None)

    def make() -> Made:
        actor = account_site.actor(request, owner)
        return issuing.rotate(name, token_id, form.wanted(), actor, maker=owner)

    return _granted(request, "rotate", name, form, make, token)


def _until(form: Any) -> datetime | None:
    """How long the secret before works, of a form that rotates."""
    seconds = int(form.cleaned_data.get("overlap_seconds") or 0)
    return timezone.now() + timedelta(seconds=seconds) if seconds else None


@owned("GET", "POST")
def revoke_token(
    request: HttpRequest, owner: Owner, name: str, token_id: str
) -> HttpResponse:
    token = rows.token(owners.namespace(owner, name), token_id)
    if request.method != "POST":
        return _ask(request, "revoke", name, None, token)
    actor = account_site.actor(request, owner)
    issuing.revoke(name, token_id, actor, maker=owner)
    messages.success(request, f"The token {token.label} is revoked.")
    return onward("account_namespace", name)


@owned("GET", "POST")
def delete(request: HttpRequest, owner: Owner, name: str) -> HttpResponse:
    owners.namespace(owner, name)
    form = DeleteForm(request.POST or None, name=name)
    if request.method == "POST" and form.is_valid():
        tenancy.delete(name, account_site.actor(request, owner), owner=owner)
        messages.success(request, f"{name} is deleted.")
        return onward("account")
    return _ask(request, "delete", name, form)


def _granted(
    request: HttpRequest,
    what: str,
    name: str,
    form: TokenForm | RotationForm,
    make: Callable[[], Made],
    token: Token | None = None,
) -> HttpResponse:
    """The token that a POST makes; else the page that asks, which says why not."""
    if request.method == "POST" and form.is_valid():
        try:
            return _shown_once(request, name, make(), before_until=_until(form))
        except (Invalid, Conflict, Forbidden) as error:
            admin_pages.refused(form, error)
            return _ask(request, what, name, form, token, status=error.status)
    return _ask(request, what, name, form, token)


def _ask(
    request: HttpRequest,
    what: str,
    name: str,
    form: TokenForm | RotationForm | DeleteForm | None,
    token: Token | None = None,
    *,
    status: int | None = None,
) -> HttpResponse:
    """The page between wanting and doing: it says what will be lost."""
    with pool.connection() as connection:
        tenant = tenants.one(connection, name)
    if status is None:
        status = Invalid.status if form is not None and form.errors else 200
    context = {"tenant": tenant, "token": token, "form": form, "now": timezone.now()}
    return render(request, f"account/{what}.html", context, status=status)


def _shown_once(
    request: HttpRequest, name: str, made: Made, *, before_until: datetime | None
) -> HttpResponse:
    context = {
        "before_until": before_until,
        "name": name,
        "token": made.token,
        "text": made.text,
        "starts": made.token.prefix or f"{name}/",
        "base_url": addresses.of(request),
    }
    return render(request, "account/token.html", context)
