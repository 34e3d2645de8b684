"""Clients that do at random what clients do, and know what they must have been told.

A roamer subscribes, unsubscribes and publishes, loses its connection and resumes where
it was. Invariant: `settle` passes exactly when each of its connections was told what it
asked for, and its view is the state as far as it asked for it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import urlencode

from tests.support.account import EVERYTHING, Account, Asked, Interest, Said, check
from tests.support.client import event
from tests.support.listener import Listener
from tests.support.live import Socket
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
    has_come = upto in account or (account.first_live or 0) >= upto
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


@dataclass
class Roamer:
    """A WebSocket client."""

    world: World
    random: Random
    pace: Pace
    view: View = field(default_factory=View)
    held: dict[Interest, Held] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    answered: dict[int, str] = field(default_factory=dict)  # seq → entity
    published: int = 0  # on the connection that is open

    def begin(self) -> None:
        """A first subscription, without which it would be told everything."""
        interest = self.world.interest(self.random)
        self._connect(interest, since=None, snapshot=False)
        self._hold(interest, is_whole=False)

    def run(self, steps: int, reconnects: int, longest_pause: float) -> None:
        """So many steps; the connection is lost before some of them."""
        lost = self.random.sample(range(1, steps), reconnects)
        actions: list[Callable[[], None]]
        actions = [self.subscribe, self.subscribe, self.unsubscribe, self.publish]
        for step in range(steps):
            if step in lost:
                self.reconnect()
            self.random.choice(actions)()
            time.sleep(self.random.uniform(0, longest_pause))
        self.pace.seconds = 0
        self.socket.wait(
            lambda: len(self.socket.of("published")) == self.published,
            what="the answers to what was published",
        )

    def subscribe(self) -> None:
        interest = self.world.interest(self.random)
        if interest in self.held:
            self._subscribe_again(interest)
            return
        since = self.random.choice([None, self.world.base, self._some_place()])
        snapshot = since is None and self.random.random() < 0.6
        self._forget([interest], kept=list(self.held))
        self._ask(interest, since=since, snapshot=snapshot)
        self._hold(interest, is_whole=snapshot or since == self.world.base)

    def _subscribe_again(self, interest: Interest) -> None:
        """Asks for what it has got already, from where it is."""
        held, account = self.held[interest], self.socket.account
        if not account.is_open(held.asked):
            since = account.position(held.asked)
            self._ask(interest, since=since, snapshot=False)
            held.asked = account.asked[-1]

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
        count = self.random.randint(1, 4)
        events = [change(self.world, self.random) for _ in range(count)]
        about = [one["payload"]["entity_id"] for one in events]
        self.published += 1
        self.socket.send({"type": "publish", "ref": about, "events": events})

    def reconnect(self) -> None:
        """Loses the connection, one way or the other, and resumes each subscription."""
        old = self.socket
        self.random.choice([old.close, old.vanish])()
        self._note(old)
        self.told.append(Told(old.account, old.account.last_live))
        self.published = 0
        resumed = [
            (held, old.account.position(held.asked)) for held in self.held.values()
        ]
        self._forget(
            [held.asked.interest for held, since in resumed if since is None],
            kept=[held.asked.interest for held, since in resumed if since is not None],
        )
        self.random.shuffle(resumed)
        is_first = True
        for held, since in resumed:
            interest = held.asked.interest
            snapshot = held.asked.snapshot and since is None
            begin = self._connect if is_first else self._ask
            begin(interest, since=since, snapshot=snapshot)
            held.asked, is_first = self.socket.account.asked[-1], False

    def settle(
        self, state: Mapping[str, Values], history: Mapping[int, Said], *, upto: int
    ) -> None:
        """Holds all connections against the log, and the view against the state."""
        self.socket.wait(
            lambda: has_settled(self.socket, upto), what=f"all up to {upto}"
        )
        self.socket.close()
        self._note(self.socket)
        self.told.append(Told(self.socket.account, upto))
        for told in self.told:
            check(told.account, history, upto=told.upto)
        for seq, entity_id in self.answered.items():
            assert history[seq].entity_id == entity_id
        compare(self.view, state, self.world, list(self.held.values()))

    def _some_place(self) -> int:
        last = max(self.world.base, self.socket.account.last_live)
        return self.random.randint(self.world.base, last)

    def _connect(
        self, interest: Interest, *, since: int | None, snapshot: bool
    ) -> None:
        query = self.world.query(interest, since=since, snapshot=snapshot)
        port = self.random.choice(self.world.ports)
        size = self.pace.receive_bytes
        self.socket = Socket(port, query, receive_bytes=size, view=self.view)
        self.socket.pause = self.pace
        self.socket.listen()

    def _ask(self, interest: Interest, *, since: int | None, snapshot: bool) -> None:
        self.socket.ask({interest.kind: interest.value}, since=since, snapshot=snapshot)

    def _hold(self, interest: Interest, *, is_whole: bool) -> None:
        self.held[interest] = Held(self.socket.account.asked[-1], is_whole)

    def _forget(self, anew: Sequence[Interest], *, kept: Sequence[Interest]) -> None:
        """What no subscription has kept up to date is not known any more."""
        with self.socket.news:
            self.view.forget(
                lambda key: (
                    any(one.covers(key) for one in anew)
                    and not any(one.covers(key) for one in kept)
                )
            )

    def _note(self, socket: Socket) -> None:
        """What was answered to what it published; nothing was refused."""
        assert not socket.of("error")
        for frame in socket.of("published"):
            for entity_id, result in zip(frame["ref"], frame["results"], strict=True):
                assert result["error"] is None, frame
                self.answered[result["seq"]] = entity_id
