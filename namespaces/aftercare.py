"""What an operator does about a purchase, beside giving its money back.

Each leaves an audit entry first. Invariant: nothing here says what is true of a
purchase: its provider is asked, and a letter says what the table says.
"""

from flux_project import jobs
from flux_project.errors import Conflict
from namespaces import audit, change, refunding, settling
from namespaces.audit import Actor
from namespaces.models import Purchase

State = Purchase.State
_WITH_NAMESPACE = frozenset({State.PROVISIONED, State.CLAIMED})


class NothingToSend(Conflict):
    """A receipt is sent when there is a namespace, and not after a refund."""

    code = "nothing_to_send"


def may_resend(purchase: Purchase) -> bool:
    return State(purchase.state) in _WITH_NAMESPACE


def may_ask(purchase: Purchase) -> bool:
    """Of what was given for nothing, a provider knows nothing new."""
    state = State(purchase.state)
    is_given = purchase.amount == 0 and state in _WITH_NAMESPACE
    return state != State.REFUNDED and not is_given


def resend(purchase_id: str, actor: Actor) -> None:
    """Its receipt is sent again, to the address it was bought with, by a job. Raises
    PurchaseNotFound, NothingToSend."""
    purchase = refunding.find(purchase_id)
    if not may_resend(purchase):
        raise NothingToSend
    with change.transaction():
        audit.record(actor, "purchase.resend", purchase.id)
        jobs.defer("namespaces.send_receipt", once=purchase.id, purchase_id=purchase.id)


def ask_again(purchase_id: str, actor: Actor) -> None:
    """Its provider was asked just now; if it is paid, it has its namespace.

    Done here and not by a job, so that who asks learns why it does not work. Raises
    PurchaseNotFound, PaymentRefused, ProviderUnavailable, ChangedMeanwhile, NoNameLeft.
    """
    purchase = refunding.find(purchase_id)
    with change.transaction():
        audit.record(actor, "purchase.settle", purchase.id)
    change.release()
    settling.settle(purchase.id)
    settling.provision(purchase.id)
