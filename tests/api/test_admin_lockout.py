"""Guessing at passwords ends in a lock-out, for whoever guesses and nobody else."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.db import models
from django.http import HttpResponse
from django.test import Client

from flux_project.lockout_limits import (
    LOCKED_MINUTES,
    MOST_PER_ACCOUNT,
    MOST_PER_ADDRESS,
)

pytestmark = pytest.mark.usefixtures("database")

PASSWORD = "a password for the tests"
LOGIN = "/admin/login/"
HERE, THERE = "192.0.2.1", "2001:db8::2"


@pytest.fixture(autouse=True)
def ada(database: None) -> User:
    return User.objects.create_superuser("ada", password=PASSWORD)


def log_in(
    name: str, password: str, address: str = HERE, **headers: str
) -> HttpResponse:
    client = Client(REMOTE_ADDR=address, headers=headers)
    answer = client.post(LOGIN, {"username": name, "password": password})
    assert isinstance(answer, HttpResponse)
    return answer


def fail(times: int, *, name: str = "ada", address: str = HERE) -> HttpResponse:
    for _ in range(times):
        answer = log_in(name, "a guess", address)
    return answer


def pass_minutes(minutes: int) -> None:
    """As if the attempts had been made so much earlier."""
    earlier = models.F("attempt_time") - timedelta(minutes=minutes)
    AccessAttempt.objects.update(attempt_time=earlier)


def test_who_guesses_is_locked_out_and_told_for_how_long() -> None:
    assert fail(MOST_PER_ACCOUNT - 1).status_code == 200
    answer = fail(1)
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= LOCKED_MINUTES * 60
    assert answer["Cache-Control"] == "no-store"
    assert f"{LOCKED_MINUTES} minutes" in answer.content.decode()
    assert log_in("ada", PASSWORD).status_code == 429


def test_nobody_else_is_locked_out() -> None:
    User.objects.create_superuser("bo", password=PASSWORD)
    fail(MOST_PER_ACCOUNT)
    assert log_in("ada", PASSWORD, THERE).status_code == 302
    assert log_in("bo", PASSWORD).status_code == 302


def test_a_lock_out_ends_by_itself_and_is_not_prolonged() -> None:
    fail(MOST_PER_ACCOUNT)
    pass_minutes(LOCKED_MINUTES - 1)
    answer = fail(3)
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) <= 60
    pass_minutes(2)
    assert log_in("ada", PASSWORD).status_code == 302


def test_an_address_that_tries_many_accounts_is_locked_out_of_all() -> None:
    for number in range(MOST_PER_ADDRESS):
        assert log_in("ada", PASSWORD).status_code == 302, number
        fail(1, name=f"guess-{number}")
    assert log_in("ada", PASSWORD).status_code == 429
    assert log_in("ada", PASSWORD, THERE).status_code == 302


def test_a_success_forgives_the_failures_before_it() -> None:
    fail(MOST_PER_ACCOUNT - 1)
    assert log_in("ada", PASSWORD).status_code == 302
    assert fail(MOST_PER_ACCOUNT - 1).status_code == 200


def test_headers_and_browsers_make_no_difference() -> None:
    for number in range(MOST_PER_ACCOUNT):
        answer = log_in(
            "ada",
            "a guess",
            **{"X-Forwarded-For": f"198.51.100.{number}", "User-Agent": f"{number}"},
        )
    assert answer.status_code == 429


def test_no_password_is_kept_nor_logged(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(MOST_PER_ACCOUNT + 1):
        log_in("ada", "my secret guess")
    assert "my secret guess" not in str(list(AccessAttempt.objects.values()))
    assert "my secret guess" not in caplog.text


def test_a_name_with_anything_in_it_is_a_failure_like_another() -> None:
    for name in ("\0", "x" * 5_000, "é" * 200, "'\"<b>"):
        assert log_in(name, "a guess").status_code == 200


def test_the_session_s_cookies_are_strict() -> None:
    answer = log_in("ada", PASSWORD)
    session = answer.cookies["sessionid"]
    assert session["samesite"] == "Strict"
    assert session["httponly"]
    assert 0 < int(session["max-age"]) <= 86_400
    csrf = Client().get(LOGIN).cookies["csrftoken"]
    assert csrf["samesite"] == "Strict"
    assert csrf["httponly"]
