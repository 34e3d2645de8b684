"""JSON with numbers that keep their value and scale, so that two texts can be compared.

Invariant: two numbers are equal exactly when the contract (§0) calls them the same:
1.10 is not 1.1, but 1e2 is 100, as the state may write it.
"""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class Number:
    """A number with a fraction, by its digits: `Number("1.10")`."""

    digits: str


def _number(text: str) -> int | Number:
    number = Decimal(text)
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    if exponent >= 0:
        return int(number)
    return Number(format(abs(number) if number == 0 else number, "f"))


def loads(text: str | bytes) -> Any:
    return json.loads(text, parse_float=_number)
