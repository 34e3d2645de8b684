"""How often an address may show tokens that are no good."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namespaces import config, throttle
from namespaces.config import Config
from namespaces.throttle import Failures, TooManyFailures, bucket_of

MOST = 5


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def failures(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Failures:
    few = Config(failed_tokens_per_address_per_minute=MOST)
    monkeypatch.setattr(config, "_current", few)
    return Failures(clock)


def _fail(failures: Failures, address: str, times: int) -> None:
    for _ in range(times):
        failures.check(address)
        failures.count(address)


def test_who_fails_too_often_is_told_how_long_to_wait(
    failures: Failures, clock: Clock
) -> None:
    clock.now += 10.5
    _fail(failures, "192.0.2.1", MOST)
    with pytest.raises(TooManyFailures) as refused:
        failures.check("192.0.2.1")
    assert (refused.value.status, refused.value.retry_after) == (429, 50)
    clock.now += 50
    failures.check("192.0.2.1")


def test_others_are_not_affected(failures: Failures) -> None:
    _fail(failures, "192.0.2.1", MOST)
    failures.check("192.0.2.2")
    failures.check("2001:db8::1")
    failures.check("")


def test_a_customers_ipv6_network_is_one_address(failures: Failures) -> None:
    for number in range(MOST):
        _fail(failures, f"2001:db8:1:2::{number:x}", 1)
    with pytest.raises(TooManyFailures):
        failures.check("2001:db8:1:2:ffff:ffff:ffff:ffff")
    failures.check("2001:db8:1:3::1")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("2001:db8::1", "2001:DB8:0:0::2"),
        ("", "a socket"),
        ("testclient", "unknown"),
    ],
)
def test_these_count_as_one(one: str, other: str) -> None:
    assert bucket_of(one) == bucket_of(other)


@given(address=st.text() | st.ip_addresses().map(str))
def test_any_address_counts_as_something(address: str) -> None:
    assert isinstance(bucket_of(address), str)


def test_memory_is_bounded_however_many_addresses_fail(
    failures: Failures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "MOST_ADDRESSES", 100)
    for number in range(1_000):
        failures.count(f"192.0.{number // 250}.{number % 250}")
        assert len(failures._counts) <= 100


def test_a_changed_limit_holds_at_once(
    failures: Failures, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail(failures, "192.0.2.1", MOST)
    more = Config(failed_tokens_per_address_per_minute=MOST + 1)
    monkeypatch.setattr(config, "_current", more)
    failures.check("192.0.2.1")
