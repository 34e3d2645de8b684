"""What of procrastinate's lines gets into the log, and what never does."""

import logging
import sys

import pytest
from structlog.testing import capture_logs

from flux_project import job_lines

GIVEN = {"email": "somebody@example.org", "words": ["secret words", {"x": "deeper"}]}
JOB = {"id": 7, "task_name": "tell", "attempts": 2, "task_kwargs": GIVEN}


def record(
    action: str, error: Exception | None = None, level: int = logging.ERROR
) -> logging.LogRecord:
    """As procrastinate makes it: with the arguments in its text, and beside it."""
    text = f"Job tell[7]({GIVEN})"
    info = None
    if error is not None:
        try:
            raise error
        except type(error):
            info = sys.exc_info()
    made = logging.LogRecord("procrastinate.worker", level, "", 1, text, (), info)
    made.__dict__.update(action=action, job=JOB)
    return made


def lines(one: logging.LogRecord) -> list[dict[str, object]]:
    with capture_logs() as found:
        job_lines.Handler().handle(one)
    assert "example" not in str(found)
    assert "secret words" not in str(found)
    return [dict(line) for line in found]


def test_a_failed_job_is_told_with_its_traceback() -> None:
    error = ValueError("secret words to other@example.org: deeper\nand a second line")
    (line,) = lines(record("job_error", error))
    trace = str(line.pop("exception"))
    assert trace.startswith("Traceback")
    assert "and a second line" in trace
    assert line == {
        "event": "job_failed",
        "log_level": "error",
        "task": "tell",
        "job": 7,
        "attempt": 3,
        "error": "ValueError: … to …: …",
    }


def test_one_that_is_tried_again_is_told_in_a_line() -> None:
    (line,) = lines(record("job_error_retry", OSError("away"), logging.INFO))
    assert line["event"] == "job_failed_for_now"
    assert line["log_level"] == "warning"
    assert "exception" not in line


@pytest.mark.parametrize(
    "action", ["start_job", "job_success", "loaded_job_info", "jobs_deferred", ""]
)
def test_the_rest_is_not_told(action: str) -> None:
    assert lines(record(action, level=logging.INFO)) == []


def test_of_a_fault_of_the_worker_itself_only_the_error_is_told() -> None:
    (line,) = lines(record("side_task_failed", OSError("away for a@example.org")))
    assert line["event"] == "job_worker_trouble"
    assert line["error"] == "OSError: away for …"


def test_an_errors_cause_is_told_after_it() -> None:
    try:
        raise ValueError("\n  all say this") from OSError("what it was")
    except ValueError as error:
        told = job_lines.first_line(error)
    assert told == "ValueError: all say this (OSError: what it was)"


def test_procrastinate_says_nothing_by_itself() -> None:
    logger = logging.getLogger("procrastinate")
    assert not logger.propagate
    assert job_lines.Handler in [type(each) for each in logger.handlers]
