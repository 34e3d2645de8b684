"""One connection that listens: what it wants, and whether it is live.

Live, the topics write to it. When its wire is full, or it asked for what lies behind,
it catches up from the log first (`state.catchup`). Invariant: of the events it wants
each is written once, in the order of the log but for what a replay encloses.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from flux_project.errors import FluxError, Invalid
from state import frames
from state.batch import Batch
from state.catchup import CatchUp
from state.feed import Feed
from state.interest import EVERYTHING, Interest
from state.subscriptions import Subscription, Subscriptions
from state.wires import FAILED, End, Wire

MAX_SUBSCRIPTIONS = 1_000

logger = structlog.get_logger(__name__)


class TooManySubscriptions(Invalid):
    """A connection holds at most 1,000 subscriptions; a prefix or a namespace covers
    many entities."""

    code = "too_many_subscriptions"


class NotSubscribed(Invalid):
    """This connection has no such subscription."""

    code = "not_subscribed"


class Listener:
    """A connection's part in the feed, from `join` to `leave`.

    Until its first subscription it gets everything.
    """

    __slots__ = (
        "_catch_up",
        "_directory",
        "_feed",
        "_has_subscribed",
        "_pending",
        "_subscriptions",
        "_taken",
        "_taken_at",
        "_task",
        "wire",
    )

    def __init__(self, feed: Feed, wire: Wire) -> None:
        self.wire = wire
        self._feed = feed
        self._subscriptions = Subscriptions()
        self._pending: dict[Interest, Subscription] = {}
        self._has_subscribed = False
        self._catch_up: CatchUp | None = None
        self._task: asyncio.Task[None] | None = None
        self._directory: Batch | None = None
        self._taken: int | None = None
        self._taken_at = feed.loop.time()

    def join(self, *, is_implicit: bool) -> None:
        """From now on it is told of deletions, and, if it has asked for nothing yet, of
        everything until it subscribes."""
        self._feed.topics.listeners[self] = None
        self._has_subscribed = not is_implicit
        if is_implicit:
            self._put(Subscription(EVERYTHING, since=self._feed.position))

    def leave(self) -> None:
        """The connection is over."""
        self._feed.topics.listeners.pop(self, None)
        for interest in self._subscriptions.interests():
            self._remove(interest)
        # A task keeps what ended it, and so all that it held; jobs to come hold this.
        task, self._task, self._catch_up = self._task, None, None
        if task is not None:
            task.cancel()

    def end(self, why: End) -> None:
        self.wire.end(why)

    def stalled_seconds(self, now: float) -> float:
        """For how long the peer has taken no byte, though some wait for it."""
        taken = self.wire.progress()
        # Bytes of the protocol itself add to what waits alone: only more is more.
        before, self._taken = self._taken, taken
        if taken is None or before is None or taken > before:
            self._taken_at = now
        return now - self._taken_at

    @property
    def is_live(self) -> bool:
        return self._catch_up is None

    @property
    def position(self) -> int:
        """Up to this seq everything it wants was written, or is a pending job's."""
        return self._catch_up.position if self._catch_up else self._feed.position

    @property
    def has_one_subscription(self) -> bool:
        return len(self._subscriptions) == 1

    def take(self, batch: Batch, *, upto: int) -> None:
        self.wire.send(batch)
        if self.wire.is_full:
            self._fall_behind().position = upto

    def take_directory(self, batch: Batch) -> None:
        if self.is_live and not self.wire.is_full:
            self.wire.send(batch)
        else:
            self._directory = batch
            self._fall_behind()

    def subscribe(
        self, interest: Interest, *, since: int | None = None, snapshot: bool = False
    ) -> None:
        """Adds a subscription, or begins one anew; acknowledged by a frame.

        since: what was missed behind that seq comes first; snapshot: the state does.
        What is in force stays so until that begins. Raises TooManySubscriptions.
        """
        if not self._knows(interest) and self._count >= MAX_SUBSCRIPTIONS:
            raise TooManySubscriptions
        self._drop_pending(interest)
        if since is not None:
            self._wait_for(interest, self._replay, since=since)
        elif snapshot:
            self._wait_for(interest, self._snapshot)
        elif self._must_wait or self._is_leaving(interest):
            self._wait_for(interest, self._join_in)
        else:
            self._go_along(interest)

    def _wait_for(
        self,
        interest: Interest,
        begin: Callable[[Subscription], Awaitable[None]],
        *,
        since: int = 0,
    ) -> None:
        """The subscription begins when what comes before it is told."""
        subscription = self._pending[interest] = Subscription(interest, since=since)
        self._fall_behind().add(interest, partial(begin, subscription))

    @property
    def _must_wait(self) -> bool:
        """Whether some of what lies before `position` is still to be told: a frame that
        names that place must come behind it."""
        return self._catch_up is not None and self._catch_up.is_folding

    def _is_leaving(self, interest: Interest) -> bool:
        """Whether it is yet to be taken from this: to come back comes behind that."""
        catch_up = self._catch_up
        return catch_up is not None and catch_up.is_to_do(_leaving(interest))

    def _go_along(self, interest: Interest) -> None:
        """From here on it is told of this."""
        self._end_implicit()
        # One in force goes on: what it has delivered is not to be told again.
        if self._subscriptions.get(interest) is None:
            self._put(Subscription(interest, since=self.position))
        self._acknowledge("subscribed", interest)

    def unsubscribe(self, interest: Interest) -> None:
        """Raises NotSubscribed. Without any subscription only deletions are told."""
        if not self._knows(interest):
            raise NotSubscribed
        self._drop_pending(interest)
        if self._must_wait:
            leave = partial(self._leave_off, interest)
            self._fall_behind().add(_leaving(interest), leave)
        else:
            self._stay_away(interest)

    def _stay_away(self, interest: Interest) -> None:
        """From here on it is not told of this."""
        if self._has_subscribed:
            self._remove(interest)
        self._acknowledge("unsubscribed", interest)

    @property
    def _count(self) -> int:
        """How many subscriptions it has asked for."""
        in_force = self._subscriptions.interests() if self._has_subscribed else []
        return len(self._pending.keys() | in_force)

    def _knows(self, interest: Interest) -> bool:
        """Whether it has asked for this."""
        in_force = self._has_subscribed and self._subscriptions.get(interest)
        return bool(in_force) or interest in self._pending

    def _end_implicit(self) -> None:
        """A first valid subscription ends what came without one."""
        if not self._has_subscribed:
            self._has_subscribed = True
            self._remove(EVERYTHING)

    def _put(self, subscription: Subscription) -> None:
        self._subscriptions.put(subscription)
        self._feed.topics.add(subscription.interest, self)

    def _remove(self, interest: Interest) -> None:
        removed = self._subscriptions.remove(interest)
        if removed is not None:
            removed.is_over = True
            self._feed.topics.remove(interest, self)

    def _drop_pending(self, interest: Interest) -> None:
        dropped = self._pending.pop(interest, None)
        if dropped is not None:
            dropped.is_over = True
            if self._catch_up is not None:
                self._catch_up.drop(interest)

    def _acknowledge(self, type_: str, interest: Interest) -> None:
        text = frames.message(type_, **interest.fields, seq=self.position)
        self.wire.send_texts([text])

    def _fall_behind(self) -> CatchUp:
        """From now on it is not live, until it has caught up."""
        if self._catch_up is None:
            self._catch_up = CatchUp(
                self._feed, self._feed.past, self.wire, self._subscriptions
            )
            self._task = self._feed.loop.create_task(self._run(self._catch_up))
        return self._catch_up

    async def _run(self, catch_up: CatchUp) -> None:
        try:
            await catch_up.run()
        except Exception:
            logger.exception("catch_up_failed")
            self.wire.end(FAILED)
            return
        self._catch_up = self._task = None
        directory, self._directory = self._directory, None
        if directory is not None:
            self.take_directory(directory)

    async def _join_in(self, subscription: Subscription) -> None:
        if not subscription.is_over:
            self._pending.pop(subscription.interest, None)
            self._go_along(subscription.interest)

    async def _leave_off(self, interest: Interest) -> None:
        self._stay_away(interest)

    async def _replay(self, subscription: Subscription) -> None:
        try:
            await self._feed.reach(subscription.since)
        except FluxError as error:
            self._refuse(subscription, error)
            return
        catch_up = self._fall_behind()
        await catch_up.keep_up()
        if self._begin(subscription):
            await catch_up.replay(subscription)

    async def _snapshot(self, subscription: Subscription) -> None:
        if self._begin(subscription):
            await self._fall_behind().snapshot(subscription)

    def _begin(self, subscription: Subscription) -> bool:
        """Puts a pending subscription into force, unless it was given up meanwhile."""
        if subscription.is_over:
            return False
        self._pending.pop(subscription.interest, None)
        self._end_implicit()
        self._remove(subscription.interest)
        self._put(subscription)
        self._acknowledge("subscribed", subscription.interest)
        return True

    def _refuse(self, subscription: Subscription, error: FluxError) -> None:
        if not subscription.is_over:
            self._drop_pending(subscription.interest)
            fields = subscription.interest.fields
            self.wire.send_texts([frames.refusal(error, **fields)])


def _leaving(interest: Interest) -> tuple[str, Interest]:
    """The key of a job that ends a subscription."""
    return "unsubscribe", interest
