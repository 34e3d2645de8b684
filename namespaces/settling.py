"""What was paid is given: from a provider's word to a namespace (contract §6).

Each function may be called again, by several processes at once, and after a crash at
any point, to the same end. Invariant: a purchase becomes paid by the provider's own
answer alone; a paid one gets exactly one namespace, whatever fails on the way.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import structlog
from django.db.models import F
from django.utils import timezone

from flux_project import jobs
from flux_project.errors import Unavailable
from namespaces import audit, change, naming, steps, tenancy
from namespaces.billing import Call, InvalidSignature, Payment, chosen
from namespaces.models import Namespace, Owner, ProviderEvent, Purchase
from namespaces.money import Price
from namespaces.purchasing import order_of
from namespaces.throttle import failures

MAX_LOOKS = 5
MAX_NAMES = 5
MAX_TROUBLE_CHARACTERS = 500
REFUNDED = "The purchase was refunded."
DISPUTED = "The payment is disputed with the buyer's bank."
State = Purchase.State

log = structlog.get_logger(__name__)


class ChangedMeanwhile(Unavailable):
    """This purchase changes all the time; it is looked at again soon."""


def heard(name: str, body: bytes, signature: str, *, address: str) -> None:
    """Takes a call of this provider's webhook, also when others sell by now.

    Raises InvalidSignature, TooManyFailures.
    """
    provider = chosen.named(name)
    try:
        call = provider.heard(body, signature)
    except InvalidSignature:
        # Behind a proxy that is not known as one, all calls come from one address: who
        # fails there must not keep a good one out.
        failures.check(address)
        failures.count(address)
        raise
    if call is not None:
        note(provider.name, call)


def note(provider: str, call: Call) -> bool:
    """Notes a webhook's call, once, and has it handled; whether it was new."""
    with change.transaction():
        _, is_new = ProviderEvent.objects.get_or_create(
            id=call.id,
            defaults={
                "provider": provider,
                "kind": call.kind,
                "made_at": datetime.fromtimestamp(call.made_at, tz=UTC),
                "order_id": call.order_id,
                "checkout_ref": call.checkout_ref,
                "payment_ref": call.payment_ref,
            },
        )
        if is_new:
            jobs.defer("namespaces.handle_event", event_id=call.id)
    return is_new


def handle(event_id: str) -> None:
    """Finds the purchase that a noted call is about, and settles it."""
    event = ProviderEvent.objects.get(id=event_id)
    if event.handled_at is not None:
        return
    purchase = _meant(event)
    if purchase is None:
        log.warning("payment_event_of_no_purchase", id=event.id, kind=event.kind)
    else:
        if event.checkout_ref and not purchase.checkout_ref:
            # The server ended between opening the checkout and writing it down.
            unknown = Purchase.objects.filter(id=purchase.id, checkout_ref="")
            unknown.update(checkout_ref=event.checkout_ref, revision=F("revision") + 1)
        settle(purchase.id)
    event.purchase = purchase
    event.handled_at = timezone.now()
    event.save(update_fields=["purchase", "handled_at"])


def _meant(event: ProviderEvent) -> Purchase | None:
    ours = Purchase.objects.filter(provider=event.provider)
    if event.order_id:
        return ours.filter(id=event.order_id).first()
    if event.checkout_ref:
        found = ours.filter(checkout_ref=event.checkout_ref).first()
        if found is not None:
            return found
    if event.payment_ref:
        found = ours.filter(payment_ref=event.payment_ref).first()
        if found is not None:
            return found
    call = Call(
        event.id,
        event.kind,
        event.made_at.timestamp(),
        checkout_ref=event.checkout_ref,
        payment_ref=event.payment_ref,
    )
    return ours.filter(id=chosen.named(event.provider).order_of(call)).first()


def settle(purchase_id: str) -> None:
    """Asks the provider, and takes over what it says.

    Raises ProviderUnavailable, DatabaseUnavailable; called again, it goes on.
    """
    for _ in range(MAX_LOOKS):
        seen = Purchase.objects.get(id=purchase_id)
        change.release()
        payment = chosen.named(seen.provider).look(order_of(seen))
        if _take(seen, payment):
            return
    raise ChangedMeanwhile


def _take(seen: Purchase, payment: Payment) -> bool:
    """Whether the answer was used: not if the purchase has changed since it was asked
    for, as another's answer may be newer."""
    with _changing(seen, payment) as version:
        purchase = Purchase.objects.select_for_update().get(id=seen.id)
        if purchase.revision != seen.revision:
            return False
        now = timezone.now()
        step = steps.after(
            purchase.state,  # type: ignore[arg-type]  # the table's choices
            payment.status,
            paid=Price(payment.amount, payment.currency),
            ordered=Price(purchase.amount, purchase.currency),
        )
        _keep(purchase, payment, now)
        if purchase.state != step.state:
            _enter(purchase, State(step.state), now)
        if step.trouble or purchase.state != State.PAID:
            purchase.trouble = step.trouble
        _dispute(purchase, now, is_disputed=payment.is_disputed)
        if version is not None and _is_news(purchase, seen):
            _hold(purchase, version)
        purchase.save()
    return True


@contextmanager
def _changing(seen: Purchase, payment: Payment) -> Iterator[int | None]:
    """A transaction; one of the registry where a namespace may have to be suspended, or
    its suspension to end."""
    is_held = payment.status == "refunded" or payment.is_disputed or seen.disputed_at
    if seen.namespace_id is None or not is_held:
        with change.transaction():
            yield None
    else:
        with change.of_registry() as version:
            yield version


def _keep(purchase: Purchase, payment: Payment, now: datetime) -> None:
    purchase.revision += 1
    purchase.looked_at = now
    purchase.refunded = payment.refunded
    purchase.payment_ref = payment.payment_ref or purchase.payment_ref
    if payment.receipt_url.startswith(("https://", "http://")):  # pages link to it
        purchase.receipt_url = payment.receipt_url


def _enter(purchase: Purchase, state: "Purchase.State", now: datetime) -> None:
    """The next state, and what follows from it."""
    purchase.state = state
    if state == State.PAID:
        purchase.paid_at = now
        jobs.defer("namespaces.provision", once=purchase.id, purchase_id=purchase.id)
    elif state == State.REFUNDED:
        purchase.refunded_at = now
        # It may have been paid and given back before anybody asked.
        purchase.paid_at = purchase.paid_at or now
        jobs.defer("namespaces.send_refund", purchase_id=purchase.id)


def _dispute(purchase: Purchase, now: datetime, *, is_disputed: bool) -> None:
    if is_disputed:
        purchase.disputed_at = purchase.disputed_at or now
    elif purchase.disputed_at is not None:
        purchase.disputed_at = None
        if purchase.state == State.PAID:  # it waited for this
            jobs.defer(
                "namespaces.provision", once=purchase.id, purchase_id=purchase.id
            )


def _is_news(purchase: Purchase, seen: Purchase) -> bool:
    """Whether a refund or a dispute came, or a dispute ended. What was so before is not
    enforced again: an operator may have decided otherwise."""
    was_refunded, is_refunded = (
        one.state == State.REFUNDED for one in (seen, purchase)
    )
    was_disputed, is_disputed = (
        one.disputed_at is not None for one in (seen, purchase)
    )
    return (was_refunded, was_disputed) != (is_refunded, is_disputed)


def _hold(purchase: Purchase, version: int) -> None:
    """Nobody writes to what is not paid for; an operator's own suspension stays."""
    namespace = Namespace.objects.select_for_update().get(id=purchase.namespace_id)
    actor = audit.purchase(purchase.id)
    if namespace.deleted_at is not None:
        return
    if purchase.state == State.REFUNDED:
        # Whatever it was suspended for before: that may end, this does not.
        tenancy.end_writing(
            namespace, version, actor, because=REFUNDED, is_above_others=True
        )
    elif purchase.disputed_at is not None:
        tenancy.end_writing(namespace, version, actor, because=DISPUTED)
    elif namespace.suspended_because == DISPUTED:
        tenancy.allow_writing(namespace, version, actor)


def provision(purchase_id: str) -> None:
    """Makes the namespace of a paid purchase; one that has it is left alone."""
    for _ in range(MAX_NAMES):
        name = naming.propose()
        try:
            _give(purchase_id, name)
        except tenancy.NameTaken:
            continue  # by somebody else, just now
        return
    raise naming.NoNameLeft


def _give(purchase_id: str, name: str) -> None:
    with change.of_registry() as version:
        purchase = Purchase.objects.select_for_update().get(id=purchase_id)
        if purchase.state != State.PAID or purchase.disputed_at is not None:
            return
        owner, _ = Owner.objects.get_or_create(email=purchase.email)
        namespace = tenancy.made(name, version, owner=owner)
        purchase.namespace = namespace
        purchase.state = State.PROVISIONED
        purchase.provisioned_at = timezone.now()
        purchase.trouble = ""
        purchase.revision += 1
        purchase.save()
        audit.record(
            audit.purchase(purchase.id),
            "namespace.create",
            name,
            after={"id": namespace.id, "owner": owner.email},
        )
        jobs.defer("namespaces.send_receipt", purchase_id=purchase.id)


def note_trouble(purchase_id: str, message: str) -> None:
    """Says in the admin why a paid purchase has no namespace yet."""
    with change.transaction():
        waiting = Purchase.objects.filter(id=purchase_id, state=State.PAID)
        waiting.update(trouble=message[:MAX_TROUBLE_CHARACTERS])


def note_silence(purchase_id: str, message: str) -> None:
    """Says in the admin that its provider cannot be asked about a purchase: it may be
    paid. The next answer takes that away."""
    with change.transaction():
        waiting = Purchase.objects.filter(id=purchase_id).exclude(state=State.PAID)
        waiting.update(trouble=message[:MAX_TROUBLE_CHARACTERS])
