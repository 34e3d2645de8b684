"""What becomes of an exception that nobody expected: a traceback in the log, a 500.

Invariant: the answer says nothing of the fault but a reference, the request's id, and
that leads to the traceback: its line carries the id, or another line of that request
names it. The second is for what failed many requests at once.
"""

import secrets

import structlog

from flux_project import request_ids
from flux_project.errors import InternalError

logger = structlog.get_logger(__name__)


def of_request(error: BaseException | None = None) -> InternalError:
    """Logs the error, or the one being handled, which failed one request."""
    reference = request_ids.current() or secrets.token_hex(8)
    logger.error("bug", request_id=reference, exc_info=error or True)
    return InternalError(reference)


def of_group(**context: object) -> InternalError:
    """Logs the error being handled, which failed many; each is told by `shared`."""
    reference = secrets.token_hex(8)
    logger.exception("group_failed", reference=reference, **context)
    return InternalError(reference)


def shared(error: InternalError) -> InternalError:
    """What one of the requests is told that an error failed: its own id."""
    request_id = request_ids.current()
    if request_id is None or request_id == error.reference:
        return error
    logger.warning("failed_with_its_group", reference=error.reference)
    return InternalError(request_id)
