"""What clients that do things at random have in common.

The world they are at work in, how fast they read, what they did and were told.
Invariant: what `change` makes is valid, and all of it happens to entities of the world.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import urlencode

from tests.support.account import EVERYTHING, Account, Asked, Interest
from tests.support.client import event
from tests.support.listener import Listener
from tests.support.view import Values, View

FILLER = "ü" * 250


@dataclass(frozen=True)
class World:
    """Where the roamers and writers of one run are at work.

    tag: all ids of the run have it. base: the head of the log before it. entities: how
    many there are of each space. large: the share of events that fill sockets for a
    while. narrow: the share of subscriptions that are to one entity.
    """

    tag: str
    base: int
    ports: Sequence[int]
    entities: int
    large: float
    narrow: float

    @property
    def spaces(self) -> list[str]:
        """What its ids begin with: two namespaces, and both ways to be in `default`."""
        tag = self.tag
        return [f"{tag}a/e", f"{tag}b/é/", f"{tag}lone-", f"default/{tag}"]

    def is_mine(self, entity_id: str) -> bool:
        return entity_id.startswith(tuple(self.spaces))

    def entity_id(self, random: Random) -> str:
        """A few of them often, others now and then: of those a snapshot has the say."""
        few = min(6, self.entities)
        number = random.randrange(few if random.random() < 0.7 else self.entities)
        return f"{random.choice(self.spaces)}{number}"

    def interest(self, random: Random) -> Interest:
        if random.random() < self.narrow:
            return Interest("entity_id", self.entity_id(random))
        wide = [
            EVERYTHING,
            Interest("prefix", self.tag),
            Interest("prefix", f"{self.tag}a/"),
            Interest("prefix", f"{self.tag}lone-"),
            Interest("prefix", f"default/{self.tag}"),
            Interest("namespace", f"{self.tag}a"),
            Interest("namespace", f"{self.tag}b"),
            Interest("namespace", "default"),
        ]
        return random.choice(wide)

    def query(self, interest: Interest, *, since: int | None, snapshot: bool) -> str:
        """What asks for this in a handshake."""
        fields = {interest.kind: interest.value}
        if since is not None:
            fields["since"] = str(since)
        if snapshot:
            fields["snapshot"] = "1"
        return f"?{urlencode(fields)}"


def properties(world: World, random: Random) -> Values:
    names = random.sample("abcdef", random.randrange(4))
    values = [None, "ü", 10**25, 1.25, [1]]
    if random.random() < world.large:
        values = [FILLER]
    return {name: random.choice(values) for name in names}


def change(world: World, random: Random) -> dict[str, Any]:
    """An event: it sets, removes, touches or ends."""
    payload: dict[str, object] = {
        "entity_id": world.entity_id(random),
        "properties": properties(world, random),
    }
    if random.random() < 0.3:
        payload["unset"] = random.sample("abcdef", 2)
    if random.random() < 0.12:
        payload["properties"] = {"__deleted__": True}
    return event("", payload=payload)


@dataclass
class Pace:
    """How fast a listener reads: it sleeps for so long each time when so many frames
    have come, until it is in a hurry."""

    every: int = 1
    seconds: float = 0.0
    frames: int = 0

    @property
    def receive_bytes(self) -> int | None:
        """Little, so that the others see that it does not read."""
        return 4_096 if self.seconds else None

    def __call__(self) -> None:
        self.frames += 1
        if self.frames % self.every == 0:
            time.sleep(self.seconds)


@dataclass
class Told:
    """A connection that is over, and up to where it was told everything."""

    account: Account
    upto: int


@dataclass
class Held:
    """A subscription over all connections. is_whole: it began at the beginning."""

    asked: Asked
    is_whole: bool


def has_settled(listener: Listener, upto: int) -> bool:
    """Whether it was told all up to this seq, and no replay or snapshot is to come."""
    account = listener.account
    is_open = any(account.is_open(asked) for asked in account.asked)
    has_come = account.has_got(upto) or (account.first_live or 0) >= upto
    return has_come and not is_open


def compare(
    view: View, state: Mapping[str, Values], world: World, held: Sequence[Held]
) -> None:
    """Holds a view against the state, as far as it was asked for."""
    seen = view.entities(world.is_mine)
    for entity_id in state.keys() | seen.keys():
        covering = [one for one in held if one.asked.interest.covers(entity_id)]
        is_whole = any(one.is_whole for one in covering)
        found, known = state.get(entity_id), seen.get(entity_id)
        if is_whole:
            assert known == found, f"{entity_id} is {found}, not {known}"
        elif covering and known is not None:
            # What it was not told of may be missing, but nothing is wrong.
            assert found is not None, f"{entity_id} is gone"
            assert known.items() <= found.items(), (
                f"{entity_id} is {found}, not {known}"
            )
