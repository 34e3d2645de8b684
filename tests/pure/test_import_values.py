"""A cell's text becomes the value it spells, and no digit is ever changed."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import exact
from events.importing import values


def spelled(text: str) -> str:
    """The JSON that a cell becomes."""
    return msgspec.json.encode(values.infer(text)).decode()


@pytest.mark.parametrize(
    "text",
    [
        *("0", "-0", "7", "-12", "1.10", "0.50", "1e3", "1E+2", "2.50e-7"),
        *("18446744073709551616", "123456789012345678901234567890.10"),
        *("9" * 308, "0." + "1" * 399, "1e308", "1e-308", "-1.5e+008"),
    ],
)
def test_a_number_keeps_its_very_text(text: str) -> None:
    assert spelled(text) == text
    exact.check(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        *("007", "-01", "+5", ".5", "5.", "1,000", "0x1F", "1_000", "--1", "-", "e5"),
        *("NaN", "Infinity", "-Infinity", "1e309", "1e-309", "1.8e308", "9" * 401),
        *("0." + "1" * 400, "N14228", "", " 5", "5 ", "5\n", "٣", "null", "trueish"),
    ],
)
def test_what_json_would_not_take_as_that_number_stays_text(text: str) -> None:
    assert values.infer(text) == text


@pytest.mark.parametrize("text", ["true", "TRUE", "True", "false", "FALSE", "False"])
def test_booleans_are_read_as_r_and_python_write_them(text: str) -> None:
    assert values.infer(text) is (text.lower() == "true")


@given(st.text())
def test_any_text_survives(text: str) -> None:
    value = values.infer(text)
    if isinstance(value, msgspec.Raw):
        assert bytes(value).decode() == text
        exact.check(bytes(value))
    elif not isinstance(value, bool):
        assert value == text
