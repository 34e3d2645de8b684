"""What was bought is taken: a token is made for who has the claim secret (contract §6).

Invariant: a token's text leaves only by the answer of the function that made it, and
lies nowhere in plain; a namespace has at most one token that a claim made and that
still works.
"""

from datetime import timedelta

from django.utils import timezone
from msgspec import Struct

from flux_project.errors import Conflict
from namespaces import audit, change, issuing
from namespaces.audit import Actor
from namespaces.models import Bucket, Namespace, Purchase, Secret, Token

CLAIM_AGAIN = timedelta(hours=24)
# Within this time of a token its first secret was made, and by no hand another.
AT_ONCE = timedelta(seconds=1)
DOUBLE_CLICK = timedelta(seconds=5)
State = Purchase.State


class NotPaid(Conflict):
    """This purchase is not paid yet: pay at its checkout_url, then claim again."""

    code = "not_paid"


class NotReady(Conflict):
    """This purchase is paid, and its namespace is being made: claim again soon."""

    code = "not_ready"


class PurchaseExpired(Conflict):
    """This purchase was not paid in time: begin a new one."""

    code = "purchase_expired"


class PurchaseRefunded(Conflict):
    """This purchase was refunded; there is nothing to claim."""

    code = "purchase_refunded"


class AlreadyClaimed(Conflict):
    """This token was claimed before, and a day ago or used since. Make another at
    /account, after signing in with the purchase's e-mail address."""

    code = "already_claimed"


class ShownBefore(Conflict):
    """A token was shown since this page was loaded, in another tab perhaps; it works. A
    new one would end it."""

    code = "shown_before"


class Claimed(Struct, frozen=True):
    """What was bought, and its token's text, which nobody can see again."""

    purchase: Purchase
    namespace: Namespace
    text: str


def claim(purchase: Purchase, *, address: str, after: str | None = None) -> Claimed:
    """A token for what was bought. Until its first use, and for a day, it may be asked
    for again, as an answer can get lost: the one before is revoked.

    purchase: as `found` gave it. after: the id of the token that a page says it may
    replace, "" for none; None: whichever there is. Raises NotPaid, NotReady,
    PurchaseExpired, PurchaseRefunded, AlreadyClaimed, ShownBefore.
    """
    with change.of_registry() as version:
        rows = Purchase.objects.select_for_update(of=("self",))
        bought = rows.select_related("namespace", "claim_token").get(id=purchase.id)
        namespace = _claimable(bought)
        actor = audit.purchase(bought.id, address)
        before = bought.claim_token
        if before is not None and after is not None and before.id != after:
            _check_double_click(before)
        if before is None:
            made = issuing.first(namespace, version)
            bought.claimed_at = timezone.now()
        else:
            made = issuing.replaced(before, version)
            _tell(actor, "token.revoke", namespace, before.id)
        bought.state = State.CLAIMED
        bought.claim_token = made.token
        bought.revision += 1
        bought.save()
        _tell(actor, "token.create", namespace, made.token.id)
    return Claimed(bought, namespace, made.text)


def may_claim(purchase: Purchase) -> bool:
    """Whether `claim` would give a token now."""
    with change.available():
        try:
            _claimable(purchase)
        except Conflict:
            return False
    return True


def _check_double_click(before: Token) -> None:
    """Who presses twice sees the second answer alone. Raises ShownBefore for others."""
    if timezone.now() > before.created_at + DOUBLE_CLICK:
        raise ShownBefore


def _tell(actor: Actor, action: str, namespace: Namespace, token_id: str) -> None:
    target = f"{namespace.name}/{token_id}"
    audit.record(actor, action, target, after={"claimed": True})


_REFUSALS = {
    State.PENDING: NotPaid,
    State.PAID: NotReady,
    State.EXPIRED: PurchaseExpired,
    State.REFUNDED: PurchaseRefunded,
}


def _claimable(bought: Purchase) -> Namespace:
    """The namespace of a purchase that may be claimed now. Raises why it may not."""
    refusal = _REFUSALS.get(State(bought.state))
    if refusal is not None:
        raise refusal(retry_after=1 if refusal is NotReady else None)
    namespace = bought.namespace
    if namespace is None or namespace.deleted_at is not None:
        message = "The namespace of this purchase was deleted; /account has the rest."
        raise AlreadyClaimed(message)
    if bought.claim_token is not None and not _may_repeat(bought, namespace):
        raise AlreadyClaimed
    return namespace


def _may_repeat(bought: Purchase, namespace: Namespace) -> bool:
    token, at = bought.claim_token, bought.claimed_at
    if token is None or at is None or timezone.now() > at + CLAIM_AGAIN:
        return False
    # A token's use is noted within half a second. What it wrote, or did to tokens, is
    # seen at once: the one was taken from the namespace's bucket in its transaction,
    # the other is noted by `namespaces.issuing` in its own.
    is_used = token.last_used_at is not None or token.revoked_at is not None
    # Its owner gave it another secret, perhaps because this purchase's was seen.
    since = token.created_at + AT_ONCE
    is_rotated = Secret.objects.filter(token=token, made_at__gt=since)
    if is_used or is_rotated.exists():
        return False
    return not Bucket.objects.filter(namespace=namespace.name).exists()
