"""Commands that cannot be stored now, told so without asking anybody.

A client that goes on although its namespace has written all it may would cost others
their place in a group. Invariant: what is refused here the log's transaction would
refuse as well: a namespace is overdrawn until its bucket has run out enough, and others
can only spend more of it.
"""

import time
from collections.abc import Sequence

from events.commands import Append, Command, Outcome
from namespaces import bucket, levels


def outcomes(commands: Sequence[Command]) -> list[Outcome] | None:
    """What each gets, if none of them can be stored; None: they must be decided.

    An event with an id of its client's may be a duplicate, which costs nothing.
    """
    if not levels.overdrawn:
        return None
    limit = levels.limit()
    if limit is None:
        return None
    refused: list[Outcome] = []
    counted: dict[str, int] = {}
    for command in commands:
        grant = command.grant
        is_plain = isinstance(command, Append) and command.event.digest is None
        if grant is None or not is_plain or grant.namespace not in levels.overdrawn:
            return None
        level = levels.known.get(grant.namespace)
        if level is None:  # forgotten just now, on another thread
            return None
        spent = level.spent_by(time.monotonic(), limit=limit)
        if bucket.left(spent, limit=limit):
            levels.overdrawn.discard(grant.namespace)
            return None
        refused.append(levels.refusal(grant.namespace, 1, spent, limit=limit))
        counted[grant.namespace] = counted.get(grant.namespace, 0) + 1
    levels.count_refusals(counted)
    return refused
