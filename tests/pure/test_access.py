"""One parser of bearer tokens and one compare, for every endpoint (contract §0)."""

import hmac
from typing import Any

import pytest

from namespaces import access
from namespaces.access import (
    AdminDisabled,
    AdminTokenRequired,
    MetricsTokenRequired,
    bearer,
)

TOKEN = "the token"


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer x", "x"),
        ("bearer x", "x"),
        ("BEARER   x  ", "x"),
        ("  Bearer x y", "x y"),
        ("Bearer", None),
        ("Bearer   ", None),
        ("Basic x", None),
        ("Bearerx", None),
        ("x", None),
        ("", None),
        (None, None),
    ],
)
def test_the_token_of_a_header(header: str | None, token: str | None) -> None:
    assert bearer(header) == token


@pytest.mark.parametrize("header", [None, "", TOKEN, "Bearer the", f"Bearer {TOKEN}."])
def test_another_token_is_none(header: str | None) -> None:
    with pytest.raises(MetricsTokenRequired):
        access.require_metrics(header, token=TOKEN)
    with pytest.raises(AdminTokenRequired):
        access.require_admin(header, admin_token=TOKEN)


def test_the_right_one_is_let_in() -> None:
    access.require_metrics(f"Bearer {TOKEN}", token=TOKEN)
    access.require_admin(f"bearer {TOKEN}", admin_token=TOKEN)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer x"])
def test_without_a_setting_metrics_are_open_and_the_admin_is_nobody(
    header: str | None,
) -> None:
    access.require_metrics(header, token="")
    with pytest.raises(AdminDisabled):
        access.require_admin(header, admin_token="")


def test_the_time_it_takes_says_nothing_of_the_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever is given goes, whole, through the one compare that is made for it."""
    compared: list[tuple[Any, Any]] = []

    def compare(given: Any, right: Any) -> bool:
        compared.append((given, right))
        return hmac.compare_digest(given, right)

    class Watched:
        compare_digest = staticmethod(compare)

    monkeypatch.setattr(access, "hmac", Watched)
    for header in ("Bearer x", f"Bearer {TOKEN}", f"Bearer {TOKEN}é", "Basic x"):
        try:
            access.require_metrics(header, token=TOKEN)
        except MetricsTokenRequired:
            continue
    right = TOKEN.encode()
    assert compared == [
        (b"x", right),
        (right, right),
        (f"{TOKEN}é".encode(), right),
        (b"", right),
    ]
