"""How large request bodies may be, and how much of them this process holds at once.

Checked while reading, so an oversized body is never held whole. Invariant: whatever
`Budget.take` granted is given back when its request ends, however it ends.
"""

from dataclasses import dataclass

from flux_project.errors import FluxError, TooLarge
from flux_project.gather import Overloaded
from namespaces import config

READ_SECONDS = 120
MAX_WAITING_BYTES = 256 << 20
OTHER_BODY_BYTES = 1 << 20

SINGLE_PATH = "/api/events"
BATCH_PATHS = frozenset({"/api/events/batch", "/api/state/entities/delete"})
# Where a body needs a namespace's token in auth mode.
WRITE_PATHS = BATCH_PATHS | {SINGLE_PATH}


class BodyTimeout(FluxError):
    """The body of the request did not arrive in time."""

    status = 408
    code = "request_timeout"


def limit_for(path: str) -> int:
    """The most bytes that a body at `path` may have, inclusive."""
    current = config.current()
    if path == SINGLE_PATH:
        return current.body_size_limit_single_bytes
    if path in BATCH_PATHS:
        return current.body_size_limit_batch_bytes
    return OTHER_BODY_BYTES


def too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The body is larger than {limit} bytes, the limit of this address."
    )


@dataclass(slots=True)
class Budget:
    """The bytes of bodies that all requests of a process hold together."""

    most: int = MAX_WAITING_BYTES
    held: int = 0

    def take(self, size: int) -> None:
        """Raises Overloaded when the process holds too much already."""
        if self.held + size > self.most:
            raise Overloaded
        self.held += size

    def give(self, size: int) -> None:
        self.held -= size


budget = Budget()
