"""One log for everything, on stderr: structlog's lines, the standard library's too."""

import logging.config
import sys
from collections.abc import Mapping
from typing import Any

import structlog

# Each line of these repeats, in many words, what our own lines say.
QUIET = ("asyncio", "daphne", "django.request", "psycopg.pool", "uvicorn.error")


def configure(options: Mapping[str, Any]) -> None:
    """Django calls this with `settings.LOGGING`; `level` is a standard level's name."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.CallsiteParameterAdder(
            [structlog.processors.CallsiteParameter.PROCESS]
        ),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"flux": {"()": lambda: _formatter(shared)}},
            "handlers": {
                "stderr": {"class": "logging.StreamHandler", "formatter": "flux"}
            },
            "root": {"handlers": ["stderr"], "level": options["level"].upper()},
            "loggers": {name: {"level": "ERROR"} for name in QUIET},
        }
    )


def _formatter(
    shared: list[structlog.typing.Processor],
) -> structlog.stdlib.ProcessorFormatter:
    terminal = sys.stderr.isatty()
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.dev.ConsoleRenderer(colors=terminal, pad_event_to=0),
        ],
    )
