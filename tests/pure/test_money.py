"""Prices: whole numbers of a currency's smallest unit, as Stripe counts them."""

import pytest

from namespaces import money
from namespaces.money import Price


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("9.00 USD", 900, "usd"),
        ("9 eur", 900, "eur"),
        ("  9.5   EUR ", 950, "eur"),
        ("0.01 usd", 1, "usd"),
        ("0.29 usd", 29, "usd"),  # as a float, 28.999999999999996 cents
        ("0 usd", 0, "usd"),
        ("500 JPY", 500, "jpy"),
        ("500.0 JPY", 500, "jpy"),
        ("1.5 KWD", 1500, "kwd"),
        ("1.230 TND", 1230, "tnd"),
        ("999999999.99 HUF", 99_999_999_999, "huf"),  # two with Stripe, none by CLDR
    ],
)
def test_a_price_is_read_exactly(text: str, amount: int, currency: str) -> None:
    assert money.parse(text) == Price(amount, currency)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9",
        "USD",
        "USD 9",
        "$9",
        "9.00USD",
        "9.00 US",
        "9.00 USDT",
        "9.00 ÜSD",
        "9,00 EUR",
        "1,000.00 EUR",
        "-9.00 USD",
        "+9 USD",
        ".5 USD",
        "9. USD",
        "9e2 USD",
        "٩ USD",
        "inf USD",
        "1000000000 USD",
        "9.00 USD extra",
        "9.00\nUSD",
    ],
)
def test_what_is_no_price_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as 9\.00 EUR, not "):
        money.parse(text)


@pytest.mark.parametrize("text", ["9.001 USD", "0.5 JPY", "500.01 KRW", "1.2345 KWD"])
def test_more_decimals_than_the_currency_has_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"decimals|such as"):
        money.parse(text)


def test_of_three_decimals_the_last_is_0_as_it_is_charged() -> None:
    with pytest.raises(ValueError, match="must end with 0 in KWD"):
        money.parse("1.234 KWD")


@pytest.mark.parametrize("text", ["500 ISK", "500 ugx"])
def test_a_currency_that_is_counted_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="two ways"):
        money.parse(text)


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (900, "usd", "9.00 USD"),
        (1, "eur", "0.01 EUR"),
        (0, "usd", "0.00 USD"),
        (123_456_789, "usd", "1,234,567.89 USD"),
        (1500, "jpy", "1,500 JPY"),
        (1500, "kwd", "1.500 KWD"),
        (10**17 + 1, "usd", "1,000,000,000,000,000.01 USD"),
    ],
)
def test_an_amount_is_shown_exactly(amount: int, currency: str, text: str) -> None:
    assert money.shown(amount, currency) == text
    assert str(Price(amount, currency)) == text


@pytest.mark.parametrize("text", ["9.00 USD", "500 JPY", "1.500 KWD", "0.01 EUR"])
def test_what_is_shown_is_what_was_read(text: str) -> None:
    assert str(money.parse(text)) == text
