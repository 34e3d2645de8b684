"""Rows' events → the server, in rounds.

Invariant: a round begins when the one before is answered to the last event, so whatever
lies before a checkpoint is stored, and the events of one entity reach the log in the
order of the file. With one connection (the default) the whole log has the file's order;
with more, a round's entities are dealt to the connections.

While a round is on its way, the next one is read and converted.
"""

import time
import zlib
from collections.abc import Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from events.importing import rows
from events.importing.checkpoint import Checkpoint, CheckpointFile
from events.importing.records import START, Place, Record
from events.importing.rows import Event, Plan
from events.importing.sender import Answer, ImportStopped, Sender
from flux_project.errors import Invalid

_CHECKPOINT_SECONDS = 0.5
_NO_REASON = "The server refused it."
_TELLING_ROUND = 100
"""A first round of this many rows that are all refused means wrong options."""


class Item(NamedTuple):
    """A row's event, or why it has none; `end` is the place behind the row."""

    line: int
    end: Place
    event: Event | Invalid
    raw: bytes


def items(records: Iterable[Record], plan: Plan) -> Iterator[Item]:
    """What the plan makes of each row; a bad one is an item too."""
    for record in records:
        yield Item(record.line, record.end, _event(record, plan), record.raw)


def _event(record: Record, plan: Plan) -> Event | Invalid:
    if isinstance(record.row, Invalid):
        return record.row
    try:
        return rows.event(record.row, plan, line=record.line)
    except Invalid as error:
        return error


class Watch(Protocol):
    """Who looks on."""

    def refused(self, item: Item, reason: str) -> None: ...

    def progress(self, tally: "Tally") -> None: ...


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How much is sent at once. batch_bytes stays below the server's 10 MiB."""

    batch_size: int = 1000
    batch_bytes: int = 8 * 1024 * 1024
    connections: int = 1


@dataclass(kw_only=True)
class Tally:
    """What came of the rows so far. `skipped` were settled by an earlier run."""

    skipped: int = 0
    read: int = 0
    stored: int = 0
    duplicates: int = 0
    refused: int = 0
    last_seq: int = 0
    last_event_id: str = ""
    place: Place = START
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


_Shard = list[tuple[Item, Event]]


class _Round(NamedTuple):
    items: list[Item]
    shards: list[_Shard]
    answers: list[Future[list[Answer]]]


class Importer:
    """One import to one server. Raises ImportStopped when that does not answer."""

    def __init__(
        self, sender: Sender, watch: Watch, checkpoints: CheckpointFile, pace: Pace
    ) -> None:
        self._sender = sender
        self._watch = watch
        self._checkpoints = checkpoints
        self._pace = pace
        self._head = sender.head()
        self._latest: Checkpoint | None = None
        self._saved_at = 0.0
        self.tally = Tally()

    def resume(self) -> Place:
        """Where to go on: behind what an earlier run settled, if the server still has
        it.
        """
        found = self._checkpoints.load()
        if not found or not self._sender.holds(found.event_id, found.seq):
            return START
        self.tally.skipped, self.tally.refused = found.rows, found.refused
        self.tally.place = found.place
        return found.place

    def run(self, items: Iterable[Item]) -> Tally:
        """Sends them all. Raises ImportStopped; what is settled by then stays so."""
        sent: _Round | None = None
        self.tally.started = time.monotonic()
        with ThreadPoolExecutor(self._pace.connections) as pool:
            try:
                for batch in self._rounds(items):
                    self._settle(sent)
                    sent = self._dispatch(batch, pool)
                self._settle(sent)
            except BaseException:
                self._sender.stop()
                self._save()
                raise
        self._checkpoints.clear()
        return self.tally

    def _rounds(self, items: Iterable[Item]) -> Iterator[list[Item]]:
        limit = self._pace.batch_size * self._pace.connections
        batch: list[Item] = []
        size = 0
        for item in items:
            length = 0 if isinstance(item.event, Invalid) else len(item.event.text) + 1
            if batch and (
                size + length > self._pace.batch_bytes or len(batch) >= limit
            ):
                yield batch
                batch, size = [], 0
            batch.append(item)
            size += length
        if batch:
            yield batch

    def _dispatch(self, items: list[Item], pool: ThreadPoolExecutor) -> _Round:
        shards = [shard for shard in self._deal(items) if shard]
        return _Round(items, shards, [pool.submit(self._send, one) for one in shards])

    def _deal(self, items: list[Item]) -> list[_Shard]:
        """The good items, each entity's on one connection."""
        count = self._pace.connections
        shards: list[_Shard] = [[] for _ in range(count)]
        for item in items:
            if not isinstance(item.event, Invalid):
                key = zlib.crc32(item.event.entity_id.encode()) if count > 1 else 0
                shards[key % count].append((item, item.event))
        return shards

    def _send(self, shard: _Shard) -> list[Answer]:
        answers: list[Answer] = []
        for start in range(0, len(shard), self._pace.batch_size):
            part = shard[start : start + self._pace.batch_size]
            answers += self._sender.send([event.text for _, event in part])
        return answers

    def _settle(self, sent: _Round | None) -> None:
        """Waits for a round's answers, counts them and tells the watch."""
        if sent is None:
            return
        refusals = [
            (item, item.event.message)
            for item in sent.items
            if isinstance(item.event, Invalid)
        ]
        for shard, answers in zip(sent.shards, sent.answers, strict=True):
            for (item, event), answer in zip(shard, answers.result(), strict=True):
                if answer.seq is None:
                    refusals.append((item, answer.error or _NO_REASON))
                else:
                    self._count(event.event_id, answer.seq)
        self.tally.read += len(sent.items)
        self.tally.refused += len(refusals)
        self.tally.place = sent.items[-1].end
        for item, reason in sorted(refusals, key=lambda refusal: refusal[0].line):
            self._watch.refused(item, reason)
        self._mark()
        self._watch.progress(self.tally)
        self._stop_if_senseless(sent, refusals)

    def _count(self, event_id: str, seq: int) -> None:
        """A seq from before this run is a duplicate; a lost answer's is not."""
        tally = self.tally
        if seq > self._head:
            tally.stored += 1
        else:
            tally.duplicates += 1
        if seq >= tally.last_seq:
            tally.last_seq, tally.last_event_id = seq, event_id

    def _mark(self) -> None:
        tally = self.tally
        if not tally.last_seq:
            return
        self._latest = Checkpoint(
            place=tally.place,
            rows=tally.skipped + tally.read,
            refused=tally.refused,
            event_id=tally.last_event_id,
            seq=tally.last_seq,
        )
        if time.monotonic() - self._saved_at >= _CHECKPOINT_SECONDS:
            self._save()

    def _save(self) -> None:
        if self._latest:
            self._checkpoints.save(self._latest)
            self._saved_at = time.monotonic()

    def _stop_if_senseless(self, sent: _Round, refusals: Sized) -> None:
        is_first = len(sent.items) == self.tally.read
        if is_first and len(refusals) == len(sent.items) >= _TELLING_ROUND:
            message = (
                f"All of the first {len(refusals)} rows were refused, so the import "
                "stops. Try the options with --dry-run."
            )
            raise ImportStopped(message)
