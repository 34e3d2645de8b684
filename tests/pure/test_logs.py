"""What of the server's and of Django's own lines gets into the log."""

import logging

import pytest

from flux_project import logs


def record(name: str, text: str, error: Exception | None = None) -> logging.LogRecord:
    info = None if error is None else (type(error), error, None)
    return logging.LogRecord(name, logging.ERROR, "", 1, text, (), info)


@pytest.mark.parametrize(
    "line",
    [
        record("django.request", "%s: %s"),
        record("uvicorn.error", "ASGI callable returned without completing handshake."),
        record(
            "uvicorn.error",
            "Invalid UTF-8 sequence received from client.",
            UnicodeError("x"),
        ),
    ],
)
def test_what_any_client_can_bring_about_is_no_news(line: logging.LogRecord) -> None:
    assert not logs.is_news(line)


@pytest.mark.parametrize(
    "line",
    [
        record("django.request", "%s: %s", ValueError("a bug")),
        record("uvicorn.error", "Exception in ASGI application\n", ValueError("x")),
        record("uvicorn.error", "Application startup failed. Exiting."),
        record("asyncio", "Task exception was never retrieved", ValueError("x")),
    ],
)
def test_a_bug_is_news(line: logging.LogRecord) -> None:
    assert logs.is_news(line)


def test_each_quiet_logger_is_filtered() -> None:
    for name in logs.QUIET:
        assert logs.is_news in logging.getLogger(name).filters
