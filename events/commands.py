"""What the committer can be asked for, and what it answers. Values only.

Invariant: a command is complete and checked; whether it applies is decided under the
log's lock, where it sees what the commands before it in its group did.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from msgspec import Struct

from events.envelope import Event
from flux_project.errors import FluxError
from namespaces.grants import Grant
from state.selection import Selection


class Append(Struct, frozen=True, gc=False):
    """Store this event. Answer: Stored, or the FluxError that refuses it.

    grant: the token's it came with, here and below; None: nobody needs one (open mode,
    management commands).
    """

    event: Event
    grant: Grant | None = None


class Delete(Struct, frozen=True, gc=False):
    """Delete this entity if it exists. Answer: Stored, or EntityNotFound."""

    entity_id: str
    grant: Grant | None = None


@dataclass(frozen=True, slots=True)
class DeleteMatching:
    """Delete what matches, all or nothing. Answer: Deleted, or a FluxError.

    limit: more matches than this are refused.
    """

    selection: Selection
    limit: int
    grant: Grant | None = None


class Stored(Struct, frozen=True, gc=False):
    """The event is in the log at `seq`; a duplicate was there before."""

    event_id: str
    stream: str
    seq: int
    is_duplicate: bool = False


class Deleted(Struct, frozen=True, gc=False):
    """So many entities were deleted; `missing` lists ids that did not exist."""

    count: int
    missing: tuple[str, ...] = ()


Command = Append | Delete | DeleteMatching
Outcome = Stored | Deleted | FluxError


def stored(outcomes: Iterable[Outcome]) -> int:
    """How many events they added to the log."""
    return sum(
        [
            outcome.count if isinstance(outcome, Deleted) else 1
            for outcome in outcomes
            if isinstance(outcome, Deleted)
            or (isinstance(outcome, Stored) and not outcome.is_duplicate)
        ]
    )
