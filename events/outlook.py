"""What a process expects of the log, so that it can decide a group before it asks.

Every change of the state goes with an append to the log. So as long as the log ends
where this says, the entities stand as this says, and the commit itself asks for nothing
but that (`log.expect`). Invariant: what is known here holds at `head`; a group that is
on its way to the log counts as written, and the outlook is thrown away if it was not.
"""

from collections.abc import Iterable, Mapping

import msgspec

from events.group import Group
from events.log import Head
from namespaces.bucket import Level
from namespaces.ledger import Ledger

# Entities and client-given ids that are kept; beyond, all are forgotten and asked anew.
MOST_KNOWN = 20_000


class Outlook:
    """Where the log will end, how entities stand then, and which ids it knows.

    standing: (version, size at most) by entity id; (0, 0) when there is none.
    is_unique: no other log can end like this one. (An id that a client gave may have
    been stored by another process in the very same place.)
    known: (seq, stream) by digest of a client-given id; None when the log has it not.
    levels: what namespaces had spent of their limit at their last commit.
    """

    def __init__(self, head: Head) -> None:
        self.head = head
        self.is_unique = True
        self.standing: dict[str, tuple[int, int]] = {}
        self.known: dict[bytes, tuple[int, str] | None] = {}
        self.levels: dict[str, Level] = {}
        # Events on their way to the log that the levels know nothing of, by namespace.
        self._under_way: dict[str, int] = {}

    def group(self) -> Group:
        """An empty group that follows the head."""
        group = Group()
        group.start(
            self.head,
            known=self.known,
            standing=self.standing,
            ledger=Ledger(self.levels, under_way=self._under_way),
        )
        return group

    def forget(self, ids: Iterable[str]) -> None:
        """Entities that are asked for now: nothing is decided from them until then.

        Where too much is known, all is forgotten, but only here: later, what a group
        that was sent since has made of an entity would be lost.
        """
        if len(self.standing) > MOST_KNOWN:
            self.standing.clear()
        if len(self.known) > MOST_KNOWN:
            self.known.clear()
        if len(self.levels) > MOST_KNOWN:
            self.levels.clear()
        for id_ in ids:
            self.standing.pop(id_, None)

    def learn_standing(
        self, asked: Iterable[str], found: Mapping[str, tuple[int, int]]
    ) -> None:
        """Takes what the database said of the entities that were asked for.

        What a group that was sent since has made of one is newer, and stays.
        """
        for id_ in asked:
            self.standing.setdefault(id_, found.get(id_, (0, 0)))

    def learn_known(
        self, asked: Iterable[bytes], found: Mapping[bytes, tuple[int, str]]
    ) -> None:
        """The same of client-given ids."""
        for digest in asked:
            # One that the open group has claimed meanwhile stays claimed.
            self.known.setdefault(digest, None)
        self.known.update(found)

    def learn_levels(self, found: Mapping[str, Level]) -> None:
        """The same of what namespaces have spent; what a commit said since is newer."""
        for namespace, level in found.items():
            if namespace not in self._under_way:
                self.levels.setdefault(namespace, level)

    def settle(self, group: Group, levels: Mapping[str, Level]) -> None:
        """A group that was on its way is in the log: so much is spent now."""
        for namespace, events in group.ledger.spends.items():
            left = self._under_way[namespace] - events
            if left:
                self._under_way[namespace] = left
            else:
                del self._under_way[namespace]
        self.levels.update(levels)

    def follow(self, group: Group) -> None:
        """Moves on behind a group, as if it were written."""
        if group.events:
            last = group.events[-1]
            seq = self.head.seq + len(group.events)
            self.head = msgspec.structs.replace(
                self.head, seq=seq, event_id=last.event_id
            )
            self.is_unique = last.digest is None
        self.standing.update(group.effect())
        for namespace, events in group.ledger.spends.items():
            self._under_way[namespace] = self._under_way.get(namespace, 0) + events
