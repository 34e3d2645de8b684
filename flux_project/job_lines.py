"""What of procrastinate's many lines gets into the log: a job that failed, once.

Invariant: no argument of a job is ever logged, nor any address of e-mail: procrastinate
writes a job's arguments into most of its lines, and errors quote what they are about.
"""

import logging
import re
import traceback
from collections.abc import Iterator

import structlog

log = structlog.get_logger("flux.jobs")

HIDDEN = "…"
_SHORTEST_HIDDEN = 4  # shorter arguments are words such as "en"
_ADDRESS = re.compile(r"[^\s<>()\[\]{}'\",;:=]+@[^\s<>()\[\]{}'\",;:=]+")
_ENDED = {
    "job_error": ("job_failed", logging.ERROR),
    "job_error_retry": ("job_failed_for_now", logging.WARNING),
    "job_aborted": ("job_broken_off", logging.ERROR),
    "job_aborted_retry": ("job_broken_off_for_now", logging.WARNING),
}
_SAID_BY_OTHERS = {
    "task_not_found",  # the job fails with it
    # The database is away: the worker says so.
    "listener_error",
    "poll_jobs_to_abort_error",
}


class Handler(logging.Handler):
    """procrastinate's only handler."""

    def emit(self, record: logging.LogRecord) -> None:
        action = getattr(record, "action", "")
        error = record.exc_info[1] if record.exc_info else None
        if action in _ENDED:
            self._tell_end(record, *_ENDED[action], error)
        elif record.levelno >= logging.ERROR and action not in _SAID_BY_OTHERS:
            text = "" if error is None else first_line(error)
            log.warning("job_worker_trouble", action=action, error=text)

    def _tell_end(
        self,
        record: logging.LogRecord,
        event: str,
        level: int,
        error: BaseException | None,
    ) -> None:
        job = record.__dict__["job"]
        said: dict[str, object] = {
            "task": job["task_name"],
            "job": job["id"],
            "attempt": job["attempts"] + 1,
        }
        if error is not None:
            given = job["task_kwargs"]
            said["error"] = first_line(error, given)
            if level == logging.ERROR:  # it will not be tried again
                trace = "".join(traceback.format_exception(error))
                said["exception"] = clean(trace, given).rstrip()
        log.log(level, event, **said)


def first_line(error: BaseException, given: object = None) -> str:
    """The error's kind and what it says, in a line, with nothing of `given`.

    What caused it is told as well: procrastinate's errors of the database all say the
    same.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = clean(": ".join([type(error).__name__, *lines[:1]]), given)
    if error.__cause__ is None:
        return text
    return f"{text} ({first_line(error.__cause__, given)})"


def clean(text: str, given: object = None) -> str:
    """Without the texts in `given`, a job's arguments, and without addresses."""
    for value in sorted(_texts(given), key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    return _ADDRESS.sub(HIDDEN, text)


def _texts(given: object) -> Iterator[str]:
    if isinstance(given, str):
        if len(given) >= _SHORTEST_HIDDEN:
            yield given
    elif isinstance(given, dict):
        for value in given.values():
            yield from _texts(value)
    elif isinstance(given, list):
        for value in given:
            yield from _texts(value)
