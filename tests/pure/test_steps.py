"""Where a purchase goes: every state, with everything a provider may say."""

from itertools import product
from typing import get_args

import pytest

from namespaces import steps
from namespaces.billing import Status
from namespaces.models import Purchase
from namespaces.money import Price
from namespaces.steps import State, Step

NINE = Price(900, "usd")
STATES: tuple[State, ...] = get_args(State)
STATUSES: tuple[str, ...] = get_args(Status)
EVERYTHING = list(product(STATES, STATUSES))
PAID = {"paid", "provisioned", "claimed"}
OTHER_PAYMENTS = [Price(899, "usd"), Price(900, "eur"), Price(0, "usd"), Price(0, "")]

# All that moves; whatever is not here stays.
MOVES: dict[tuple[State, str], State] = {
    ("pending", "paid"): "paid",
    ("pending", "closed"): "expired",
    ("expired", "paid"): "paid",  # the money was slower than the checkout's end
    **{(state, "refunded"): "refunded" for state in STATES},
}


def after(state: State, status: str, paid: Price = NINE) -> Step:
    return steps.after(state, status, paid=paid, ordered=NINE)


def test_the_states_are_those_of_the_table() -> None:
    assert set(STATES) == set(Purchase.State.values)


@pytest.mark.parametrize(("state", "status"), EVERYTHING)
def test_each_state_goes_where_it_may(state: State, status: str) -> None:
    step = after(state, status)
    assert step.state == MOVES.get((state, status), state)
    assert bool(step.trouble) == ((state, status) == ("refunded", "paid"))


@pytest.mark.parametrize(
    ("state", "status", "paid"),
    list(product(STATES, STATUSES, [NINE, *OTHER_PAYMENTS])),
)
def test_nothing_unpaid_becomes_paid(state: State, status: str, paid: Price) -> None:
    if after(state, status, paid).state in PAID and state not in PAID:
        assert (status, paid) == ("paid", NINE)


@pytest.mark.parametrize(("state", "status"), EVERYTHING)
def test_no_provider_makes_a_namespace_or_a_token(state: State, status: str) -> None:
    if after(state, status).state in {"provisioned", "claimed"}:
        assert after(state, status).state == state


@pytest.mark.parametrize("state", sorted(PAID))
def test_what_was_paid_never_expires(state: State) -> None:
    for status, paid in product(STATUSES, [NINE, *OTHER_PAYMENTS]):
        assert after(state, status, paid).state in {state, "refunded"}


@pytest.mark.parametrize("state", STATES)
def test_what_was_refunded_is_never_paid_again(state: State) -> None:
    assert after("refunded", "paid").state == "refunded"
    refunded = after(state, "refunded").state
    assert {after(refunded, status).state for status in STATUSES} == {"refunded"}


def test_a_refund_that_failed_is_shown() -> None:
    assert "refund failed" in after("refunded", "paid").trouble
    assert after("refunded", "refunded").trouble == ""


@pytest.mark.parametrize(
    ("state", "status", "paid"),
    list(product(STATES, ["paid"], OTHER_PAYMENTS)),
)
def test_another_payment_than_ordered_moves_nothing_and_is_told(
    state: State, status: str, paid: Price
) -> None:
    step = after(state, status, paid)
    assert step.state == state
    assert str(NINE) in step.trouble


@pytest.mark.parametrize("status", ["open", "closed", "requires_action", "", "PAID"])
def test_what_else_a_provider_may_say_is_no_payment(status: str) -> None:
    for state in STATES:
        assert after(state, status).state in {state, "expired"}
        assert after(state, status).trouble == ""
