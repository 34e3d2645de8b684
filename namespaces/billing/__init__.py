"""Who takes the money: one small interface, and a module for each way.

Invariant: what a provider says of a payment was asked of it just now. What a browser, a
webhook or a clock says is a reason to ask, never an answer.
"""

from typing import Literal, Protocol

from msgspec import Struct

from flux_project.errors import Conflict, Invalid, Unavailable

# open: may still be paid. paid: the money is confirmed to be there. closed: it can no
# longer be paid. refunded: all of it was given back.
Status = Literal["open", "paid", "closed", "refunded"]


class ProviderUnavailable(Unavailable):
    """The payment provider does not answer now; try again soon."""

    code = "payment_unavailable"


class PaymentRefused(Conflict):
    """The payment provider refused this."""

    code = "payment_refused"


class InvalidSignature(Invalid):
    """This call is not signed by the payment provider, or its signature is too old."""

    code = "invalid_signature"


class Order(Struct, frozen=True):
    """What a provider is to know of a purchase.

    amount: in the currency's smallest unit, as cents. currency: ISO 4217, lower case.
    checkout_ref, payment_ref: what the provider calls its checkout and its payment; ""
    before it has told.
    """

    id: str
    email: str
    amount: int
    currency: str
    checkout_ref: str = ""
    payment_ref: str = ""


class Checkout(Struct, frozen=True):
    """Where a buyer pays. expires_at: epoch seconds."""

    ref: str
    url: str
    expires_at: float


class Payment(Struct, frozen=True):
    """What the provider says of a purchase's money now.

    amount, currency: of the checkout, to be compared with the order's. refunded: how
    much of it was given back. is_disputed: the buyer's bank wants it back, or has it.
    """

    status: Status
    amount: int
    currency: str
    checkout_ref: str = ""
    payment_ref: str = ""
    receipt_url: str = ""
    refunded: int = 0
    is_disputed: bool = False


class Call(Struct, frozen=True):
    """A webhook's call that is proved to be the provider's: something may have changed.

    id: the event's own; made_at: epoch seconds. order_id: the purchase it names, "" if
    none; checkout_ref, payment_ref: what it is about, as far as it says.
    """

    id: str
    kind: str
    made_at: float
    order_id: str = ""
    checkout_ref: str = ""
    payment_ref: str = ""


class Provider(Protocol):
    """Each call may be repeated: the provider knows the order by its id.

    Raises ProviderUnavailable when it cannot be asked, PaymentRefused when it says no.
    """

    name: str

    def open(self, order: Order, *, done_url: str, back_url: str) -> Checkout:
        """A checkout for the order; the same one again where there is one.

        done_url: where the buyer's browser goes when all is done; back_url: when not.
        """

    def look(self, order: Order) -> Payment:
        """What is true now. An order without a checkout_ref: one that was never opened,
        as far as we know, so it is closed."""

    def refund(self, order: Order) -> None:
        """Gives all back that was paid and not yet given back."""

    def heard(self, body: bytes, signature: str) -> Call | None:
        """A webhook's call; None: it is proved, but of no kind that concerns orders.

        body: raw, as it came. Raises InvalidSignature.
        """

    def order_of(self, call: Call) -> str:
        """The id of the order that a call is about; "" if there is none."""
