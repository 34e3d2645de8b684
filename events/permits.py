"""What a command needs a token to be good for, and whether this one is. No I/O.

Asked when the command is made, and again, under the log's lock, if the registry has
changed in between (`events.recheck`). Invariant: the answer is `namespaces.grants`'.
"""

from events.commands import Append, Command, Delete
from flux_project.errors import FluxError
from namespaces import grants
from namespaces.grants import Grant, Scope
from state.selection import Selection


def refusal(command: Command, grant: Grant) -> FluxError | None:
    """Why a token with this grant may not do it; None: it may."""
    if isinstance(command, Append):
        event = command.event
        scope = Scope.DELETE if event.is_tombstone else Scope.PUBLISH
        return grants.refusal(grant, scope, event.entity_id)
    if isinstance(command, Delete):
        return grants.refusal(grant, Scope.DELETE, command.entity_id)
    for target in _targets(command.selection):
        refused = grants.refusal(grant, Scope.DELETE, target)
        if refused is not None:
            return refused
    return None


def _targets(selection: Selection) -> tuple[str, ...]:
    """What the ids begin with that a selection can match."""
    if selection.ids is not None:
        return selection.ids
    if selection.prefix is not None:
        return (selection.prefix,)
    return (f"{selection.namespace}/",)
