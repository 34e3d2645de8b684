"""A reader of Server-Sent Events that loses its connection and resumes as browsers do:
it sends its old address again, and the last id that it has seen.

Invariant: `settle` passes exactly when it was told what it asked for, and an id never
came before all that it stands for.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from tests.support.account import Asked, Said, check
from tests.support.live import Stream
from tests.support.roaming import Held, Pace, Told, World, compare, has_settled
from tests.support.view import Values, View


def check_ids(stream: Stream, history: Mapping[int, Said]) -> None:
    """Whoever resumes from an id misses nothing: what came before it has come."""
    [asked] = stream.account.asked
    wanted = [
        seq
        for seq, said in history.items()
        if asked.wants(seq, said.entity_id)
        and not asked.has_shown(seq, said.entity_id)
        and not stream.account.has_skipped(seq)
    ]
    come: set[int] = set()
    at = 0
    is_shown = not asked.snapshot
    for frame, last_id in zip(stream.frames, stream.ids, strict=True):
        is_shown = is_shown or frame["type"] == "snapshot_end"
        if "seq" in frame and "entity_id" in frame and not frame.get("more"):
            come.add(frame["seq"])
        while at < len(wanted) and wanted[at] in come:
            at += 1
        if last_id is not None:
            assert frame["seq"] == int(last_id)
            assert not frame.get("more"), frame
            assert is_shown, f"the snapshot is not over: {frame}"
            missing = [seq for seq in wanted[at : at + 1] if seq <= int(last_id)]
            assert not missing, f"{missing} had not come: {frame}"


@dataclass
class Streamer:
    world: World
    random: Random
    pace: Pace
    view: View = field(default_factory=View)
    told: list[Told] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)

    def begin(self) -> None:
        self.interest = self.world.interest(self.random)
        base = self.world.base
        since = self.random.choice([None, None, base])
        snapshot = since is None and self.random.random() < 0.7
        self.is_whole = snapshot or since == base
        self.query = self.world.query(self.interest, since=since, snapshot=snapshot)
        self.last_id: int | None = None
        self._connect()

    def run(self, reconnects: int, longest_pause: float) -> None:
        for _ in range(reconnects):
            time.sleep(self.random.uniform(0, longest_pause))
            self.reconnect()

    @property
    def stream(self) -> Stream:
        return self.streams[-1]

    @property
    def asked(self) -> Asked:
        [asked] = self.stream.account.asked
        return asked

    def reconnect(self) -> None:
        self.stream.close()
        account = self.stream.account
        self.told.append(Told(account, account.last_live))
        ids = [int(one) for one in self.stream.ids if one is not None]
        if ids:
            self.last_id = ids[-1]
        elif self.asked.since is None and not self.asked.snapshot:
            self.last_id = self.asked.start  # the acknowledgement's
        if self.last_id is None:
            self.view.forget(self.interest.covers)
        self._connect()

    def settle(
        self, state: Mapping[str, Values], history: Mapping[int, Said], *, upto: int
    ) -> None:
        """Holds all connections against the log, and the view against the state."""
        self.pace.seconds = 0
        stream = self.stream
        stream.wait(lambda: has_settled(stream, upto), what=f"all up to {upto}")
        stream.close()
        self.told.append(Told(stream.account, upto))
        for told in self.told:
            check(told.account, history, upto=told.upto)
        for one in self.streams:
            check_ids(one, history)
        compare(self.view, state, self.world, [Held(self.asked, self.is_whole)])

    def _connect(self) -> None:
        port = self.random.choice(self.world.ports)
        headers = {}
        if self.last_id is not None:
            headers["last_event_id"] = str(self.last_id)
        size = self.pace.receive_bytes
        stream = Stream(port, self.query, receive_bytes=size, view=self.view, **headers)
        stream.pause = self.pace
        self.streams.append(stream.listen())
