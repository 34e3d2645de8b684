"""An id is safe to stand anywhere, whoever made it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_project import request_ids

SAFE = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


@given(st.binary(max_size=80))
def test_whatever_a_client_gives_the_id_is_safe(sent: bytes) -> None:
    chosen = request_ids.choose(sent)
    assert SAFE.match(chosen)
    is_good = SAFE.match(sent.decode("latin-1"))
    assert (chosen == sent.decode("latin-1")) == bool(is_good)


@pytest.mark.parametrize("sent", [b"a\n", b"\na", b"a" * 65, b"", b"a b"])
def test_what_is_nearly_one_is_replaced(sent: bytes) -> None:
    assert request_ids.choose(sent).encode() != sent


def test_without_one_each_is_new() -> None:
    made = {request_ids.choose() for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(SAFE.match(one) for one in made)


def test_it_is_bound_for_a_while() -> None:
    assert request_ids.current() is None
    with request_ids.bound("outer"):
        with request_ids.bound("inner"):
            assert request_ids.current() == "inner"
        assert request_ids.current() == "outer"
    assert request_ids.current() is None
