"""The claim secrets of what a browser has begun to buy, in cookies of their own.

One for each purchase, so that two that are begun at once do not lose each other's.
Invariant: a secret leaves the server in such a cookie alone, which no script reads and
no other page than those below `/register` is sent.
"""

import time

from django.conf import settings
from django.http import HttpRequest, HttpResponse

PATH = "/register"
# The day in which a claim may be repeated, and the hour in which it is paid.
SECONDS = 25 * 3_600
MOST = 5
_PREFIX = "flux_claim_"


def remember(
    request: HttpRequest, answer: HttpResponse, *, purchase_id: str, secret: str
) -> None:
    """Gives the browser a purchase's secret, and lets it forget all but the newest."""
    for older in known(request)[MOST - 1 :]:
        answer.delete_cookie(_PREFIX + older, path=PATH, samesite="Lax")
    answer.set_signed_cookie(
        _PREFIX + purchase_id,
        f"{time.time_ns()} {secret}",
        max_age=SECONDS,
        path=PATH,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        # Not Strict: who comes back from a payment page comes from another site.
        samesite="Lax",
    )


def known(request: HttpRequest) -> list[str]:
    """The ids of the purchases that this browser has the secrets of, newest first."""
    found = {
        name.removeprefix(_PREFIX): _read(request, name)
        for name in request.COOKIES
        if name.startswith(_PREFIX)
    }
    kept = {name: value for name, value in found.items() if value is not None}
    return sorted(kept, key=lambda name: kept[name], reverse=True)


def header(request: HttpRequest, purchase_id: str) -> str | None:
    """What a program that began this purchase would send as its Authorization."""
    found = _read(request, _PREFIX + purchase_id)
    return None if found is None else f"Bearer {found[1]}"


def _read(request: HttpRequest, name: str) -> tuple[int, str] | None:
    """When it was begun, and its secret."""
    text = request.get_signed_cookie(name, default=None, max_age=SECONDS)
    if text is None:
        return None
    begun_at, _, secret = text.partition(" ")
    return int(begun_at), secret
