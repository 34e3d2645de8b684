"""One log for everything, on stderr: structlog's lines, the standard library's too."""

import logging.config
import sys
from collections.abc import Mapping
from typing import Any

import structlog

from flux_project import job_lines

# Each line of these repeats, in many words, what our own lines say.
# And stripe's and sesame's have buyers' addresses.
QUIET = (
    "asyncio",
    "axes",
    "daphne",
    "django.request",
    "psycopg.pool",
    "sesame",
    "stripe",
    "uvicorn.error",
)
# Of errors too: any client could have them written, as many as it likes.
_OF_CLIENTS = {
    "ASGI callable returned without completing handshake.",  # it was refused
    "Invalid UTF-8 sequence received from client.",
}


def is_news(record: logging.LogRecord) -> bool:
    """Whether a line of the server's or of Django's says more than our own do."""
    if record.name == "django.request":
        return record.exc_info is not None  # else a 503, say, which is `refused`
    return record.msg not in _OF_CLIENTS


_JSON: list[structlog.typing.Processor] = [
    structlog.processors.format_exc_info,
    structlog.processors.JSONRenderer(),
]


def configure(options: Mapping[str, Any]) -> None:
    """Django calls this with `settings.LOGGING`.

    level: a standard level's name. format: `console`, or `json` for one object a line.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.CallsiteParameterAdder(
            [structlog.processors.CallsiteParameter.PROCESS]
        ),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "flux": {"()": lambda: _formatter(shared, options["format"])}
            },
            "handlers": {
                "stderr": {"class": "logging.StreamHandler", "formatter": "flux"},
                "jobs": {"()": job_lines.Handler},
            },
            "root": {"handlers": ["stderr"], "level": options["level"].upper()},
            "filters": {"news": {"()": lambda: is_news}},
            "loggers": {name: {"level": "ERROR", "filters": ["news"]} for name in QUIET}
            | {
                "procrastinate": {
                    "level": "INFO",
                    "handlers": ["jobs"],
                    "propagate": False,
                }
            },
        }
    )


def _formatter(
    shared: list[structlog.typing.Processor], format_name: str
) -> structlog.stdlib.ProcessorFormatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *(_JSON if format_name == "json" else [_console()]),
        ],
    )


def _console() -> structlog.typing.Processor:
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(),
        pad_event_to=0,
        # The default shows local variables too: bodies, headers, tokens.
        exception_formatter=structlog.dev.plain_traceback,
    )
