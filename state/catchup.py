"""Catching up: what a listener missed, read from the log as fast as it takes it.

Memory is bounded by what one page holds; the listener's place is a cursor into the log.
Who is behind for longer than PATIENCE_SECONDS gets the newest value of each property
instead of every event, and is told so. Invariant: everything up to `position` was
written, each event that is wanted once, and nothing behind it was.
"""

from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence

from flux_project import metrics
from state import frames
from state.batch import Batch
from state.feed import Feed
from state.fold import Fold
from state.frames import Told
from state.interest import DIRECTORY_ID
from state.past import LARGE_PAGE_BYTES, SMALL_PAGE_BYTES, Past, told_of
from state.subscriptions import Subscription, Subscriptions
from state.turns import Share
from state.wires import OVERLOADED, Wire

PATIENCE_SECONDS = 2.0
# Who is conflated is told what there is so often, if the peer takes it.
TELL_SECONDS = 0.5
# So much is written before the wire is asked whether it takes more.
CHUNK_BYTES = 64 << 10
STRETCH_EVENTS = 500
# Entities that changed while a snapshot was being read; beyond, it would hold too much.
MOST_SHOWN = 100_000

Job = Callable[[], Awaitable[None]]


class CatchUp:
    """One listener's way from `position` to where the feed is.

    jobs: what is to be done before the events behind `position` are told. is_folding:
    some of what is counted as written up to `position` may still wait.
    """

    def __init__(
        self, feed: Feed, past: Past, wire: Wire, subscriptions: Subscriptions
    ) -> None:
        self.position = feed.position
        self.is_folding = False
        self._feed = feed
        self._turns = feed.turns
        self._past = past
        self._wire = wire
        self._subscriptions = subscriptions
        self._jobs: dict[Hashable, Job] = {}
        self._page_bytes = SMALL_PAGE_BYTES
        self._behind_since = feed.loop.time()

    def add(self, key: Hashable, job: Job) -> None:
        """Appends a job; of each key there is one at most."""
        self._jobs[key] = job

    def drop(self, key: Hashable) -> None:
        """Takes back a job that has not begun."""
        self._jobs.pop(key, None)

    def is_to_do(self, key: Hashable) -> bool:
        """Whether a job of this key has not begun."""
        return key in self._jobs

    async def run(self) -> None:
        """Returns when nothing is left to do: at the feed's own position, with no
        other task having run since."""
        await self._wire.drained()
        while not self._is_done():
            if self._jobs:
                await self._jobs.pop(next(iter(self._jobs)))()
                # Slow is who does not keep up with what is new, not who asked for much.
                self._behind_since = self._feed.loop.time()
            elif self.position >= self._feed.position:
                await self._feed.moved()
            else:
                await self._step()

    async def keep_up(self) -> None:
        """Tells what is told live, up to where the feed is now: a replay that begins
        then says all that was committed before it was asked for.

        Whose first subscription begins in the past is told of nothing before it, not
        even of deletions: their seq would lead beyond what it has yet to get.
        """
        until = self._feed.position
        if not len(self._subscriptions):
            self.position = until
        while self.position < until:
            await self._step(until=until)

    async def _step(self, *, until: int | None = None) -> None:
        await (self._fold(until) if self._is_slow() else self._go_on())
        await self._room()

    def _is_done(self) -> bool:
        there = self.position >= self._feed.position
        return (
            not self._jobs and there and self.position >= self._subscriptions.settled_at
        )

    def _is_slow(self) -> bool:
        return self._feed.loop.time() - self._behind_since > PATIENCE_SECONDS

    async def _stretch(self, seq: int) -> tuple[list[Told], int]:
        """The events behind `seq`, some at a time, and how far these are all."""
        upto = self._feed.position
        recent = self._feed.recent.after(seq, most=min(STRETCH_EVENTS, upto - seq))
        if recent:
            return recent, recent[-1].seq
        return await self._past.missed(seq, upto=upto, page_bytes=self._page_bytes)

    async def _go_on(self) -> None:
        """Tells every event of one stretch, or as many as the wire takes: what is left
        of it is not kept while the wire drains."""
        events, upto = await self._stretch(self.position)
        for chunk in _chunks(events):
            async with self._turns.turn():
                wanted = [told for told in chunk if self._subscriptions.wants(told)]
                self._send(wanted)
                self.position = chunk[-1].seq
            if self._wire.is_full:
                return
        self.position = upto

    def _send(self, events: Sequence[Told]) -> None:
        if events:
            self._wire.send(Batch(events))
            for told in events:
                told.forget_frames()

    async def _fold(self, until: int | None) -> None:
        """Tells the newest value of each property; what is new replaces what waits.

        It ends where nothing waits: at `until`; without that, at the feed's position,
        or where a job is to be done. What was folded counts as written: a subscription
        that comes or goes meanwhile begins or ends behind it.
        """
        fold = Fold()
        self.is_folding = True
        try:
            with self._turns.share() as share:
                await self._fold_on(fold, share, until)
                while fold:
                    async with self._turns.turn():
                        self._tell(fold)
                        share.note(fold.size)
                    await self._room()
                    await self._fold_on(fold, share, until)
        finally:
            self.is_folding = False

    async def _fold_on(self, fold: Fold, share: Share, until: int | None) -> None:
        # Where events come as fast as they are folded here, there is always one more.
        tell_at = self._feed.loop.time() + TELL_SECONDS
        while share.may_grow and self.position < self._end_of_fold(until):
            if fold and self._feed.loop.time() > tell_at:
                return
            events, upto = await self._stretch(self.position)
            for chunk in _chunks(events):
                async with self._turns.turn():
                    for told in chunk:
                        if self._subscriptions.wants(told):
                            fold.add(told)
                    self.position = chunk[-1].seq
                    share.note(fold.size)
                if not share.may_grow:
                    return
            self.position = upto

    def _end_of_fold(self, until: int | None) -> int:
        if until is not None:
            return until
        return self.position if self._jobs else self._feed.position

    def _tell(self, fold: Fold) -> None:
        dropped_from = fold.note_dropped()
        if dropped_from is not None:
            metrics.CONFLATIONS.inc()
            bounds = {"from_seq": dropped_from, "to_seq": self.position}
            self._subscriptions.skip(dropped_from, self.position)
            self._wire.send_texts([frames.message("conflated", **bounds)])
        for seq, texts in fold.take(CHUNK_BYTES):
            self._wire.send_texts(texts, seq=seq)

    async def replay(self, subscription: Subscription) -> None:
        """What a subscription missed since it left off, between two marks."""
        metrics.REPLAYS.inc()
        since, upto = subscription.since, max(subscription.since, self.position)
        marks = subscription.interest.fields
        self._wire.send_texts(
            [frames.message("replay_start", from_seq=since + 1, to_seq=upto, **marks)]
        )
        at = since
        while at < upto and not subscription.is_over:
            at = await self._replay_on(subscription, at, upto)
            await self._room()
        # One that was given up ends where it is.
        self._wire.send_texts([frames.message("replay_end", seq=at, **marks)])

    async def _replay_on(self, subscription: Subscription, at: int, upto: int) -> int:
        """Tells some of what was missed behind `at`, as much as the wire takes; up to
        where that is all."""
        events, end = await self._matching(subscription, at, upto)
        for chunk in _chunks(events):
            async with self._turns.turn():
                missed = [
                    told
                    for told in chunk
                    if not self._subscriptions.delivered(told, but=subscription)
                ]
                self._send(missed)
            if self._wire.is_full:
                return chunk[-1].seq
        return end

    async def _matching(
        self, subscription: Subscription, at: int, upto: int
    ) -> tuple[list[Told], int]:
        interest = subscription.interest
        recent = self._feed.recent.after(at, most=min(STRETCH_EVENTS, upto - at))
        if recent:
            async with self._turns.turn():
                return [
                    told
                    for told in recent
                    if interest.matches(told.effect.entity_id, told.effect.namespace)
                ], recent[-1].seq
        return await self._past.events(
            at,
            upto=upto,
            selection=interest.selection(),
            page_bytes=self._page_bytes,
        )

    async def _room(self) -> None:
        """Waits until the wire takes more. Who takes all at once gets large pages."""
        is_slow = self._wire.is_full
        self._page_bytes = SMALL_PAGE_BYTES if is_slow else LARGE_PAGE_BYTES
        await self._wire.drained()

    async def snapshot(self, subscription: Subscription) -> None:
        """The state now, between two marks; the events behind `position` follow."""
        metrics.SNAPSHOTS.inc()
        marks = subscription.interest.fields
        subscription.since = self.position
        self._wire.send_texts([frames.message("snapshot_start", **marks)])
        after: str | None = ""
        while after is not None and not subscription.is_over:
            after = await self._show_on(subscription, after)
            await self._room()
        # One that was given up midway says so: what it did not show may exist.
        given_up = {"incomplete": True} if subscription.is_over else {}
        end = frames.message("snapshot_end", seq=self.position, **marks, **given_up)
        self._wire.send_texts([end], seq=self.position)

    async def _show_on(self, subscription: Subscription, after: str) -> str | None:
        """Shows some entities behind an id, as many as the wire takes; the last one's
        id, None at the end."""
        rows, is_last = await self._past.entities(
            subscription.interest, after=after, page_bytes=self._page_bytes
        )
        for chunk in _chunks([told_of(row) for row in rows]):
            async with self._turns.turn():
                for told in chunk:
                    entity_id = told.effect.entity_id
                    if told.seq > subscription.since and entity_id != DIRECTORY_ID:
                        subscription.show(entity_id, at=told.seq)
                self._wire.send_texts([text for told in chunk for text in told.texts])
            if len(subscription.shown) > MOST_SHOWN:
                self._wire.end(OVERLOADED)
                return None
            if self._wire.is_full and chunk[-1].effect.entity_id != rows[-1].id:
                return chunk[-1].effect.entity_id
        return None if is_last else rows[-1].id


def _chunks(events: Sequence[Told]) -> Iterator[list[Told]]:
    """The events in stretches whose frames make about CHUNK_BYTES."""
    chunk: list[Told] = []
    size = 0
    for told in events:
        chunk.append(told)
        size += told.size
        if size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
