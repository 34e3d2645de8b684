"""Who is signed in at /account, and what every page there may rely on.

Invariant: deny by default. A page that shows or changes what is somebody's is declared
by `owned` and is given its owner; without one it is not called. A session names its
owner by id alone, beside an admin's login, which it neither needs nor ends.
"""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import rotate_token
from django.shortcuts import render
from django.urls import reverse

from namespaces import audit, owners, shop_site
from namespaces.audit import Actor
from namespaces.models import Owner
from namespaces.owners import NotSignedIn
from namespaces.shop_site import View

KEY = "owner"
P = ParamSpec("P")
OwnersView = Callable[Concatenate[HttpRequest, Owner, P], HttpResponse]


def signed_in(request: HttpRequest) -> Owner | None:
    """Whose session it is; None: nobody's. Raises DatabaseUnavailable."""
    owner_id = request.session.get(KEY)
    if not isinstance(owner_id, int):
        return None
    try:
        return owners.find(owner_id)
    except NotSignedIn:
        return None


def enter(request: HttpRequest, owner: Owner) -> None:
    """From now on the session is this owner's, by a key that nobody knew before."""
    request.session[KEY] = owner.id
    request.session.cycle_key()
    rotate_token(request)


def leave(request: HttpRequest) -> None:
    """The session is nobody's; of an admin's login it keeps what it has."""
    request.session.pop(KEY, None)
    if any(True for _ in request.session.keys()):  # noqa: SIM118  it has no other way
        request.session.cycle_key()
    else:
        request.session.flush()


def owned(*methods: str) -> Callable[[OwnersView[P]], View[P]]:
    """A page for who is signed in: others go to where a link is asked for, and what
    they send is refused."""

    def decorate(view: OwnersView[P]) -> View[P]:
        @shop_site.page(*methods)
        @wraps(view)
        def inner(
            request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs
        ) -> HttpResponse:
            owner = signed_in(request)
            if owner is not None:
                return view(request, owner, *args, **kwargs)
            if request.method == "POST":
                return render(request, "account/signed_out.html", status=403)
            return onward("account")

        return inner

    return decorate


def actor(request: HttpRequest, owner: Owner) -> Actor:
    """Who does something here, as the audit log has it."""
    return audit.owner(owner.email, shop_site.address(request))


def onward(route: str, *given: str) -> HttpResponse:
    """On to another page, by GET."""
    return HttpResponse(status=303, headers={"Location": reverse(route, args=given)})
