"""A payment provider for tests of the flows: it says what the test tells it to."""

from collections.abc import Callable
from dataclasses import dataclass, field

from namespaces.billing import Call, Checkout, Order, Payment, ProviderUnavailable

IN_AN_HOUR = 1_900_000_000.0


@dataclass
class Till:
    """says: of each order's id, what `look` answers; `open` without it. after_look:
    what else happens between the question and the use of its answer."""

    name: str = "till"
    says: dict[str, Payment] = field(default_factory=dict)
    looks: list[str] = field(default_factory=list)
    refunds: list[str] = field(default_factory=list)
    is_away: bool = False
    after_look: Callable[[], None] = lambda: None

    def open(self, order: Order, *, done_url: str, back_url: str) -> Checkout:
        if self.is_away:
            raise ProviderUnavailable
        return Checkout(f"co_{order.id}", f"http://till.example/{order.id}", IN_AN_HOUR)

    def look(self, order: Order) -> Payment:
        self.looks.append(order.id)
        if self.is_away:
            raise ProviderUnavailable
        found = self.says.get(order.id) or Payment(
            "open", order.amount, order.currency, checkout_ref=order.checkout_ref
        )
        self.after_look()
        return found

    def refund(self, order: Order) -> None:
        if self.is_away:
            raise ProviderUnavailable
        self.refunds.append(order.id)
        self.says[order.id] = Payment(
            "refunded", order.amount, order.currency, refunded=order.amount
        )

    def heard(self, body: bytes, signature: str) -> Call | None:
        raise NotImplementedError

    def order_of(self, call: Call) -> str:
        return call.payment_ref.removeprefix("pay_")

    def take(self, order_id: str, **more: object) -> None:
        """From now on it says that this was paid."""
        given = {"status": "paid", "amount": 900, "currency": "usd", **more}
        self.says[order_id] = Payment(
            **given,  # type: ignore[arg-type]  # the test's own
            payment_ref=f"pay_{order_id}",
        )
