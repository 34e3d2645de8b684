"""A cell's text → the JSON value it stands for.

Invariant: no digit is ever changed. A number is passed on as its very text (`1.10`
stays `1.10`), and text that JSON or the contract (§0) would not take as that number
stays text (`007`, `+5`, `.5`, 500 digits).
"""

import re
from functools import lru_cache
from math import isfinite

from msgspec import Raw

from events.exact import MAX_DIGITS, MAX_EXPONENT

Value = str | bool | Raw

_NUMBER = re.compile(
    r"-?(?P<whole>0|[1-9][0-9]*)(?:\.(?P<part>[0-9]+))?(?:[eE](?P<exponent>[+-]?[0-9]+))?",
    re.ASCII,
)
_STARTS_A_VALUE = frozenset("-0123456789tTfF")
_LONGEST_CACHED = 32
_LONGEST_NUMBER = MAX_DIGITS + 10
_BOOLEANS = {"true": True, "false": False}


def infer(text: str) -> Value:
    """The number or boolean that a cell's text spells exactly, else the text itself."""
    if not text or text[0] not in _STARTS_A_VALUE or len(text) > _LONGEST_NUMBER:
        return text
    return _infer_short(text) if len(text) <= _LONGEST_CACHED else _infer(text)


def _infer(text: str) -> Value:
    if number := _NUMBER.fullmatch(text):
        return Raw(text.encode()) if _fits(number) else text
    return _BOOLEANS.get(text.lower(), text)


# Columns repeat their values: a hit costs a fifth of a match. Only short texts are
# kept, so that the memory stays within a few megabytes.
_infer_short = lru_cache(maxsize=65_536)(_infer)


def _fits(number: re.Match[str]) -> bool:
    """Whether the contract takes it as a number (§0: digits, exponent, a double)."""
    digits = len(number["whole"]) + len(number["part"] or "")
    if digits > MAX_DIGITS or abs(int(number["exponent"] or 0)) > MAX_EXPONENT:
        return False
    return isfinite(float(number[0]))
