"""Clients that do at random what clients do, and know what they must have been told.

A roamer subscribes, unsubscribes and publishes, loses its connection and resumes where
it was. Invariant: `settle` passes exactly when each of its connections was told what it
asked for, and its view is the state as far as it asked for it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from tests.support.account import EVERYTHING, Account, Asked, Interest, Said, check
from tests.support.client import event
from tests.support.live import Socket
from tests.support.view import Values, View

LONGEST_PAUSE_SECONDS = 0.04


@dataclass(frozen=True)
class World:
    """Where the roamers and writers of one run are at work.

    tag: all ids of the run begin with it. base: the head of the log before it.
    """

    tag: str
    base: int
    ports: Sequence[int]

    def is_mine(self, entity_id: str) -> bool:
        return entity_id.startswith(self.tag)

    def entity_id(self, random: Random) -> str:
        """In one of two namespaces, or in none."""
        space = random.choice([f"{self.tag}a/e", f"{self.tag}b/é/", f"{self.tag}lone-"])
        return f"{space}{random.randrange(6)}"

    def interest(self, random: Random) -> Interest:
        if random.random() < 0.5:
            return Interest("entity_id", self.entity_id(random))
        wide = [
            EVERYTHING,
            Interest("prefix", self.tag),
            Interest("prefix", f"{self.tag}a/"),
            Interest("prefix", f"{self.tag}lone-"),
            Interest("namespace", f"{self.tag}a"),
            Interest("namespace", f"{self.tag}b"),
            Interest("namespace", "default"),
        ]
        return random.choice(wide)


def properties(random: Random) -> Values:
    names = random.sample("abcdef", random.randrange(4))
    return {name: random.choice([None, "ü", 10**25, 1.25, [1]]) for name in names}


def change(world: World, random: Random) -> dict[str, object]:
    """An event: it sets, removes, touches or ends."""
    payload: dict[str, object] = {
        "entity_id": world.entity_id(random),
        "properties": properties(random),
    }
    if random.random() < 0.3:
        payload["unset"] = random.sample("abcdef", 2)
    if random.random() < 0.12:
        payload["properties"] = {"__deleted__": True}
    return event("", payload=payload)


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


@dataclass
class Roamer:
    world: World
    random: Random
    view: View = field(default_factory=View)
    held: dict[Interest, Held] = field(default_factory=dict)
    past: list[Told] = field(default_factory=list)
    answered: dict[int, str] = field(default_factory=dict)  # seq → entity
    _sent: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """A first subscription, without which it would be told everything."""
        interest = self.world.interest(self.random)
        port = self.random.choice(self.world.ports)
        self.socket = Socket(port, self._query(interest, None), view=self.view).listen()
        self._hold(interest, is_whole=False)

    def run(self, steps: int, reconnects: int) -> None:
        """So many steps; the connection is lost before some of them."""
        lost = self.random.sample(range(1, steps), reconnects)
        for step in range(steps):
            if step in lost:
                self.reconnect()
            action: Callable[[], None] = self.random.choice(
                [self.subscribe, self.subscribe, self.unsubscribe, self.publish]
            )
            action()
            time.sleep(self.random.uniform(0, LONGEST_PAUSE_SECONDS))

    def subscribe(self) -> None:
        interest = self.world.interest(self.random)
        if interest in self.held:
            return
        since = self.random.choice([None, self.world.base, self._some_place()])
        snapshot = since is None and self.random.random() < 0.6
        self._ask(interest, since=since, snapshot=snapshot)
        is_whole = snapshot or since == self.world.base
        self._hold(interest, is_whole=is_whole)

    def unsubscribe(self) -> None:
        account = self.socket.account
        over = [
            interest
            for interest, held in self.held.items()
            if not account.is_open(held.asked)
        ]
        if len(over) > 1:
            interest = self.random.choice(over)
            del self.held[interest]
            self.socket.unsubscribe(**{interest.kind: interest.value})

    def publish(self) -> None:
        """One event or several, without waiting for the answer."""
        events = [
            change(self.world, self.random) for _ in range(self.random.randint(1, 4))
        ]
        self._sent = [str(one["payload"]["entity_id"]) for one in events]  # type: ignore[index]  # made above
        self.socket.send({"type": "publish", "ref": self._sent, "events": events})

    def reconnect(self) -> None:
        """Loses the connection, one way or the other, and resumes each subscription."""
        old = self.socket
        self.random.choice([old.close, old.vanish])()
        self._note(old)
        self.past.append(Told(old.account, old.account.last_live))
        resumed = list(self.held.items())
        self.random.shuffle(resumed)
        (first, held), *others = resumed
        port = self.random.choice(self.world.ports)
        query = self._query(first, self._resume(old.account, held.asked))
        self._forget(first)
        self.socket = Socket(port, query, view=self.view).listen()
        held.asked = self.socket.account.asked[0]
        for interest, held in others:
            again = self._resume(old.account, held.asked)
            self._ask(interest, since=again.since, snapshot=again.snapshot)
            held.asked = self.socket.account.asked[-1]

    def settle(
        self, state: Mapping[str, Values], history: Mapping[int, Said], *, upto: int
    ) -> None:
        """Holds all connections against the log, and the view against the state."""
        self.socket.wait_for_seq(upto)
        self.socket.close()
        self._note(self.socket)
        for told in self.past:
            check(told.account, history, upto=told.upto)
        check(self.socket.account, history, upto=upto)
        for seq, entity_id in self.answered.items():
            assert history[seq].entity_id == entity_id
        self._compare(state)

    def _compare(self, state: Mapping[str, Values]) -> None:
        seen = self.view.entities(self.world.is_mine)
        mine = {key: found for key, found in state.items() if self.world.is_mine(key)}
        for entity_id in mine.keys() | seen.keys():
            whole = {
                held.is_whole
                for interest, held in self.held.items()
                if interest.covers(entity_id)
            }
            if True in whole:
                assert seen.get(entity_id) == mine.get(entity_id), entity_id
            elif whole and entity_id in seen:
                # What it was not told of may be missing, but nothing is wrong.
                assert seen[entity_id].items() <= mine[entity_id].items(), entity_id

    def _some_place(self) -> int:
        return self.random.randint(
            self.world.base, max(self.world.base, self.socket.account.last_live)
        )

    def _hold(self, interest: Interest, *, is_whole: bool) -> None:
        self.held[interest] = Held(self.socket.account.asked[-1], is_whole)

    def _ask(self, interest: Interest, *, since: int | None, snapshot: bool) -> None:
        self._forget(interest)
        self.socket.ask({interest.kind: interest.value}, since=since, snapshot=snapshot)

    def _forget(self, interest: Interest) -> None:
        """What no subscription has kept up to date is not known any more."""
        others = [one for one in self.held if one != interest]
        if interest not in self.held:
            self.view.forget(
                lambda key: (
                    interest.covers(key) and not any(one.covers(key) for one in others)
                )
            )

    def _resume(self, account: Account, asked: Asked) -> Asked:
        since = account.position(asked)
        return Asked(asked.interest, since, asked.snapshot and since is None)

    def _query(self, interest: Interest, again: Asked | None) -> str:
        return ""
