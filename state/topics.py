"""Handing events to the listeners of this process: each frame is made once.

Listeners with the same interest share a topic; a topic's events are joined once, and
each of its listeners gets one write of the same bytes. Invariant: a live listener gets
the events it asked for in the order of the log, each once, and every deletion.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Protocol

from namespaces import names
from state.batch import Batch
from state.frames import Told
from state.interest import DIRECTORY_ID, Index, Interest
from state.wires import End, Wire


class Subscriber(Protocol):
    """What the topics know of a listener."""

    @property
    def is_live(self) -> bool: ...

    @property
    def has_one_subscription(self) -> bool: ...

    @property
    def wire(self) -> Wire: ...

    def end(self, why: End) -> None:
        """Ends the connection."""

    def stalled_seconds(self, now: float) -> float:
        """For how long its peer has taken no byte, though some wait; looked at anew."""

    def take(self, batch: Batch, *, upto: int) -> None:
        """Sends events; all that concern it up to the seq `upto` are sent then."""

    def take_directory(self, batch: Batch) -> None:
        """Sends the newest directory, in place of an older one that still waits."""


class Topic:
    """An interest, and the listeners that share it."""

    __slots__ = ("interest", "listeners")

    def __init__(self, interest: Interest) -> None:
        self.interest = interest
        self.listeners: dict[Subscriber, None] = {}


class Topics:
    """All interests of a process's listeners."""

    def __init__(self) -> None:
        self._index: Index[Topic] = Index()
        self.listeners: dict[Subscriber, None] = {}

    def add(self, interest: Interest, listener: Subscriber) -> None:
        topic = self._index.get(interest)
        if topic is None:
            topic = Topic(interest)
            self._index.put(interest, topic)
        topic.listeners[listener] = None

    def remove(self, interest: Interest, listener: Subscriber) -> None:
        topic = self._index.get(interest)
        if topic is not None:
            topic.listeners.pop(listener, None)
            if not topic.listeners:
                self._index.remove(interest)

    @property
    def sockets(self) -> int:
        """How many of the listeners are WebSockets."""
        return sum(listener.wire.is_websocket for listener in self.listeners)

    def end_all(self, why: End) -> None:
        for listener in list(self.listeners):
            listener.end(why)

    def deliver_directory(self, batch: Batch) -> None:
        """Sends the server's own entity to who asked for it, live or not."""
        found = self._index.of(DIRECTORY_ID, names.RESERVED_NAMESPACE)
        told = {
            listener: None
            for topic in found
            if topic.interest.wants_directory
            for listener in topic.listeners
        }
        for listener in told:
            listener.take_directory(batch)

    @property
    def want_directory(self) -> bool:
        """Whether anybody asked for the server's own entity."""
        found = self._index.of(DIRECTORY_ID, names.RESERVED_NAMESPACE)
        return any(topic.interest.wants_directory for topic in found)

    def deliver(self, events: Sequence[Told]) -> None:
        """Sends events that follow those delivered before to who is live."""
        for is_tombstone, run in groupby(events, key=_is_tombstone):
            part = list(run)
            upto = part[-1].seq
            if is_tombstone:
                self._deliver_to_all(Batch(part), upto=upto)
            else:
                self._deliver_run(part, upto=upto)

    def _deliver_to_all(self, batch: Batch, *, upto: int) -> None:
        for listener in list(self.listeners):
            if listener.is_live:
                listener.take(batch, upto=upto)

    def _deliver_run(self, events: Sequence[Told], *, upto: int) -> None:
        several: dict[Subscriber, list[Batch]] = {}
        for topic, batch in self._by_topic(events).items():
            for listener in list(topic.listeners):
                if not listener.is_live:
                    continue
                if listener.has_one_subscription:
                    listener.take(batch, upto=upto)
                else:
                    several.setdefault(listener, []).append(batch)
        # Who has the same subscriptions shares what is merged of them, too.
        merged: dict[tuple[int, ...], Batch] = {}
        for listener, batches in several.items():
            key = tuple(map(id, batches))
            if key not in merged:
                merged[key] = batches[0] if len(batches) == 1 else _merge(batches)
            listener.take(merged[key], upto=upto)

    def _by_topic(self, events: Sequence[Told]) -> dict[Topic, Batch]:
        touched: dict[Topic, list[Told]] = {}
        for told in events:
            effect = told.effect
            for topic in self._index.of(effect.entity_id, effect.namespace):
                touched.setdefault(topic, []).append(told)
        return {topic: Batch(wanted) for topic, wanted in touched.items()}


def _is_tombstone(told: Told) -> bool:
    return told.effect.is_tombstone


def _merge(batches: Iterable[Batch]) -> Batch:
    """The events of all, each once, in the order of the log."""
    by_seq = {told.seq: told for batch in batches for told in batch.events}
    return Batch([by_seq[seq] for seq in sorted(by_seq)])
