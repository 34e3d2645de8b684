"""Prices: amounts in a currency's smallest unit, as payment providers count them. Pure.

Invariant: an amount is a whole number, never a float. How many decimals a currency has
is what Stripe's documentation says ("Supported currencies"), as that is who is paid.
"""

import re
from decimal import Decimal

from msgspec import Struct

_WITHOUT_DECIMALS = frozenset(
    {"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga"}
    | {"pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"}
)
_WITH_THREE = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
# Counted otherwise by Stripe than by everybody else; mistakes would be a hundredfold.
_REFUSED = frozenset({"isk", "ugx"})
_PRICE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) +([A-Za-z]{3})", re.ASCII)
RULE = "an amount and a currency, such as 9.00 EUR"


class Price(Struct, frozen=True):
    """amount: in the smallest unit; currency: ISO 4217, in lower case."""

    amount: int
    currency: str

    def __str__(self) -> str:
        return shown(self.amount, self.currency)


def parse(text: str) -> Price:
    """`9.00 EUR`. Raises ValueError, which says what is wrong."""
    match = _PRICE.fullmatch(text.strip())
    if match is None:
        message = f"must be {RULE}, not {text!r}."
        raise ValueError(message)
    currency = match[2].lower()
    if currency in _REFUSED:
        message = f"cannot be in {match[2].upper()}: providers count it in two ways."
        raise ValueError(message)
    places = _decimals(currency)
    amount = Decimal(match[1]).scaleb(places)
    if places == 3 and amount % 10:
        message = f"must end with 0 in {match[2].upper()}, as it is charged: {text!r}."
        raise ValueError(message)
    if amount != int(amount):
        message = f"has more decimals than {match[2].upper()} ({places}): {text!r}."
        raise ValueError(message)
    return Price(int(amount), currency)


def shown(amount: int, currency: str) -> str:
    """`9.00 EUR`, with a comma between thousands."""
    places = _decimals(currency)
    return f"{Decimal(amount).scaleb(-places):,.{places}f} {currency.upper()}"


def _decimals(currency: str) -> int:
    if currency in _WITHOUT_DECIMALS:
        return 0
    return 3 if currency in _WITH_THREE else 2
