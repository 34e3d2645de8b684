"""Whether the token that a command came with still holds.

Invariant: a command with a grant is not written unless its token held it at the version
of the registry that the holder of the log's lock read.
"""

from events import permits
from events.commands import Command
from flux_project.errors import FluxError
from namespaces.access import UnusableToken
from namespaces.grants import Grant
from namespaces.registry import registry


def refusal(command: Command, grant: Grant) -> FluxError | None:
    """Why it may not be done now, by what this process knows of the registry."""
    now = registry.current(grant)
    if now is grant:
        return None
    if now is None:
        return UnusableToken()
    return permits.refusal(command, now)


def holds(grant: Grant, *, version: int) -> bool:
    """Whether a token holds, as it was found, at this very version of the registry."""
    return registry.version == version and registry.current(grant) is grant
