"""Clients that do at random what clients do, and know what they must have been told.

A roamer subscribes, unsubscribes and publishes, loses its connection and resumes where
it was. Invariant: `settle` passes exactly when each of its connections was told what it
asked for, and its view is the state as far as it asked for it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from tests.support.account import Interest, Said, check
from tests.support.live import Socket
from tests.support.roaming import (
    Held,
    Pace,
    Told,
    World,
    change,
    compare,
    has_settled,
)
from tests.support.view import Values, View


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
