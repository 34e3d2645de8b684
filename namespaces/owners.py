"""Who owns namespaces, and how they come in: by a link in an e-mail (contract §6).

Invariant: whether an address is known here is told by no answer, and by no difference
in what is done for it before the answer. A link works once, for a quarter of an hour.
"""

from collections.abc import Callable, Sequence

from django.utils import timezone
from sesame.tokens import (  # type: ignore[import-untyped]  # it has no types
    create_token,
    parse_token,
)

from flux_project import jobs
from flux_project.errors import Invalid, NotFound, RateLimited
from namespaces import attempts, change, mailbox, refunding, rows
from namespaces.models import Namespace, Owner, Purchase
from namespaces.throttle import bucket_of

# A stranger who asks for links to a mailbox must not keep its owner from getting one.
MOST_OF_A_NETWORK_PER_MAILBOX = 5
MOST_PER_MAILBOX = 30
MOST_PER_NETWORK = 60
HOUR_SECONDS = 3_600
_SCOPE = "account"
# A link's token has some 38; what is longer was not made here.
MAX_TOKEN_CHARACTERS = 200


class TooManyLinks(RateLimited):
    """Too many sign-in links were asked for; use one that came, or try again later."""

    code = "too_many_links"


class UnusableLink(Invalid):
    """This link was used already, or is too old. Ask for a new one."""

    code = "unusable_link"


class NotSignedIn(NotFound):
    """Nobody is signed in."""

    code = "not_signed_in"


def ask_for_link(email: object, *, address: str) -> None:
    """Has a link sent, if this is an owner's address.

    Raises InvalidEmail, TooManyLinks.
    """
    checked, network = mailbox.checked(email), bucket_of(address)
    with change.transaction():
        for kind, key, most in (
            ("link", f"{checked} {network}", MOST_OF_A_NETWORK_PER_MAILBOX),
            ("link to", checked, MOST_PER_MAILBOX),
            ("link from", network, MOST_PER_NETWORK),
        ):
            attempts.take(
                kind, key, most=most, seconds=HOUR_SECONDS, error=TooManyLinks
            )
        jobs.defer("namespaces.send_link", email=checked)


def link_token(owner: Owner) -> str:
    """What a link carries. It is made when the mail is, and stored nowhere."""
    text: str = create_token(owner, scope=_SCOPE)
    return text


def of_link(token: str) -> Owner:
    """Whose link this is, while it works. Raises UnusableLink."""
    with change.available():
        return _meant(token, _by_key)


def enter(token: str) -> Owner:
    """Uses a link up; its owner is who it is for. Raises UnusableLink."""
    with change.transaction():
        owner = _meant(token, _locked)
        owner.last_login = timezone.now()
        owner.save(update_fields=["last_login"])
    return owner


def _meant(token: str, find: Callable[[int], Owner | None]) -> Owner:
    found: Owner | None = None
    if len(token) <= MAX_TOKEN_CHARACTERS:
        found = parse_token(token, find, scope=_SCOPE)
    if found is None:
        raise UnusableLink
    return found


def _by_key(key: int) -> Owner | None:
    return Owner.objects.filter(pk=key).first()


def _locked(key: int) -> Owner | None:
    """So that of two who use a link at once, the second finds it used."""
    return Owner.objects.select_for_update().filter(pk=key).first()


def find(owner_id: int) -> Owner:
    """Raises NotSignedIn."""
    with change.available():
        owner = _by_key(owner_id)
    if owner is None:
        raise NotSignedIn
    return owner


def namespaces(owner: Owner) -> Sequence[Namespace]:
    """All that were bought and not deleted, by name."""
    with change.available():
        return list(
            Namespace.objects.filter(owner=owner, deleted_at=None).order_by("name")
        )


def namespace(owner: Owner, name: str) -> Namespace:
    """One of them. Another's is answered like one that does not exist: raises
    NamespaceNotFound."""
    found = rows.find(name)
    rows.check_owner(found, owner)
    return found


def purchases(owner: Owner) -> Sequence[Purchase]:
    """All that was ever paid by them, the newest first."""
    with change.available():
        found = Purchase.objects.select_related("namespace").filter(email=owner.email)
        return list(found.exclude(paid_at=None).order_by("-created_at"))


def purchase(owner: Owner, purchase_id: str) -> Purchase:
    """One of them. Another's, and one that was never paid, is answered like one that
    does not exist: raises PurchaseNotFound."""
    found = refunding.find(purchase_id)
    if found.email != owner.email or found.paid_at is None:
        raise refunding.PurchaseNotFound
    return found
