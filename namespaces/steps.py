"""Where a purchase goes when its provider has been asked. Pure.

Invariant: nothing but a provider's `paid`, over exactly what was ordered, leads to
`paid`; and what was paid and not given back never ends in `expired`.
"""

from typing import Literal

from msgspec import Struct

from namespaces.money import Price

State = Literal["pending", "paid", "provisioned", "claimed", "expired", "refunded"]

_UNPAID = ("pending", "expired")


class Step(Struct, frozen=True):
    """state: the next one. trouble: what somebody must look at; "" when nothing."""

    state: State
    trouble: str = ""


def after(state: State, status: str, *, paid: Price, ordered: Price) -> Step:
    """The step from `state`, now that the provider says `status` of a payment of `paid`
    (`namespaces.billing.Payment`)."""
    if status == "paid" and paid != ordered:
        message = f"The provider's payment is of {paid}, not of {ordered}, as ordered."
        return Step(state, message)
    if status == "refunded":
        return Step("refunded")
    if status == "paid" and state == "refunded":
        return Step(state, "It was refunded, and is paid: perhaps the refund failed.")
    if status == "paid" and state in _UNPAID:
        return Step("paid")
    if status == "closed" and state == "pending":
        return Step("expired")
    return Step(state)
