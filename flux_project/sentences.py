"""What an operator can put right is one sentence on stderr and exit 1, not a traceback.

It is a hook of the interpreter because the sentence must come out of every entry alike:
`manage.py`, a web worker, and servers we do not start ourselves (daphne, uvicorn).
"""

import sys
from types import TracebackType

from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError


class CannotStart(Exception):
    """Flux cannot start, for a reason that the operator can put right."""


def install() -> None:
    sys.excepthook = _report


def of(error: BaseException) -> str | None:
    """The sentence for this error; None when it is a fault that needs a traceback."""
    if isinstance(error, CannotStart | ImproperlyConfigured):
        return str(error)
    if isinstance(error, OperationalError) and _never_connected(error):
        first = (str(error).splitlines() or [""])[0].strip().rstrip(".")
        return (
            "The database does not answer: start Flux first (make run), "
            f"or check DATABASE_URL ({first})."
        )
    return None


def _never_connected(error: OperationalError) -> bool:
    """PostgreSQL gives every error a state; without one nobody was reached."""
    return getattr(error.__cause__, "sqlstate", None) is None


def _report(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    sentence = of(error)
    if sentence is None:
        sys.__excepthook__(kind, error, trace)
    else:
        sys.stderr.write(f"flux: {sentence}\n")
