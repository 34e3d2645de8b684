"""The account of one connection: what it asked for, and what came of it.

Invariant: `check` passes exactly when every event that the connection asked for arrived
once, whole, and in the order of the log outside replays; and nothing else arrived but
tombstones, of which every connection is told.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from tests.support.view import Frame

DIRECTORY = "flux-core/directory"
_ABOUT_EVENTS = {"state_update", "entity_touched", "entity_deleted"}


@dataclass(frozen=True)
class Interest:
    """What a subscription is to: `entity_id` (`*`: all), `prefix` or `namespace`."""

    kind: str
    value: str

    def covers(self, entity_id: str) -> bool:
        if self.kind == "prefix":
            return entity_id.startswith(self.value)
        if self.kind == "namespace":
            first, slash, _ = entity_id.partition("/")
            return self.value == (first if slash else "default")
        return self.value in {"*", entity_id}


EVERYTHING = Interest("entity_id", "*")


@dataclass(eq=False)
class Asked:
    """One subscription, from the moment it was asked for.

    start, stop: it means the events behind `start`, up to `stop` inclusively.
    shown: the entities of its snapshot, each at its seq.
    """

    interest: Interest
    since: int | None = None
    snapshot: bool = False
    start: int | None = None
    stop: int | None = None
    shown: dict[str, int] = field(default_factory=dict)

    def wants(self, seq: int, entity_id: str) -> bool:
        if self.start is None or not self.interest.covers(entity_id):
            return False
        return self.start < seq <= (self.stop if self.stop is not None else seq)

    def has_shown(self, seq: int, entity_id: str) -> bool:
        return self.shown.get(entity_id, 0) >= seq


@dataclass(frozen=True)
class Said:
    """An event as the log has it."""

    entity_id: str
    is_tombstone: bool


class Account:
    """Follow frames in the order of their arrival; `faults` is what was wrong."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.arrived: list[int] = []
        self.strays: list[int] = []  # tombstones that nobody had asked for
        self.live: list[int] = []  # those of them outside replays
        self.replayed: list[int] = []  # of the replay that is open
        self.skipped: list[tuple[int, int]] = []  # told by `conflated`
        self.first_live: int | None = None
        self.faults: list[str] = []
        self._come: set[int] = set()
        self._replaying: Asked | None = None
        self._showing: Asked | None = None
        self._bounds = (0, 0)
        self._open: tuple[int, str] | None = None
        self._sections: list[Asked] = []  # whose replay or snapshot is to come

    @property
    def last_live(self) -> int:
        return self.live[-1] if self.live else 0

    def ask(
        self, interest: Interest, *, since: int | None = None, snapshot: bool = False
    ) -> Asked:
        asked = Asked(interest, since, snapshot)
        self.asked.append(asked)
        return asked

    def ask_by(self, query: str, *, last_event_id: str = "") -> None:
        """What a handshake asks for; nothing when it does not say."""
        fields = dict(parse_qsl(query.removeprefix("?"), keep_blank_values=True))
        first = fields.pop("since", None)
        since = last_event_id or first
        snapshot = fields.pop("snapshot", None) == "1" and not last_event_id
        kind, value = next(iter(fields.items()), ("entity_id", "*"))
        if query or last_event_id:
            self.ask(
                Interest(kind, value),
                since=None if since is None else int(since),
                snapshot=snapshot,
            )

    def has_begun(self) -> bool:
        """Whether it is told of deletions: what it asked for first has begun."""
        return not self.asked or self.first_live is not None

    def position(self, asked: Asked) -> int | None:
        """From where this subscription may be resumed; None: it begins anew."""
        if asked.start is None or asked is self._showing or asked in self._sections:
            return asked.since
        if asked is self._replaying:
            return self.replayed[-1] if self.replayed else asked.start
        return max(asked.start, self.last_live)

    def is_open(self, asked: Asked) -> bool:
        """Whether what it asked to be told first is still under way."""
        is_section = asked in {self._replaying, self._showing}
        return asked.start is None or is_section or asked in self._sections

    def __contains__(self, seq: int) -> bool:
        return self.has_got(seq) or self.has_skipped(seq)

    def has_got(self, seq: int) -> bool:
        """Whether this very event has come, and with it all that is told before it."""
        return seq in self._come

    def has_skipped(self, seq: int) -> bool:
        """Whether it lies in a stretch that was conflated."""
        return any(low <= seq <= high for low, high in self.skipped)

    def follow(self, frame: Frame) -> None:
        kind = frame["type"]
        if kind in _ABOUT_EVENTS:
            if frame["entity_id"] != DIRECTORY:
                self._note(frame)
            return
        if self._open is not None and kind != "metrics_update":
            self._fault("in the middle of an event", frame)
        handle = {
            "subscribed": self._subscribed,
            "unsubscribed": self._unsubscribed,
            "snapshot_start": self._snapshot_start,
            "snapshot_end": self._snapshot_end,
            "replay_start": self._replay_start,
            "replay_end": self._replay_end,
            "conflated": self._conflated,
        }.get(kind)
        if handle is not None:
            handle(frame)

    def _fault(self, what: str, frame: Frame) -> None:
        self.faults.append(f"{what}: {frame}")

    def _note(self, frame: Frame) -> None:
        event = (frame["seq"], frame["entity_id"])
        if self._open not in {None, event}:
            self._fault(f"event {self._open} was not finished", frame)
        is_whole = not frame.get("more", False)
        self._open = None if is_whole else event
        if is_whole:
            self._arrive(frame)

    def _arrive(self, frame: Frame) -> None:
        seq = frame["seq"]
        if self._showing is not None:
            self._show(self._showing, frame)
            return
        self._come.add(seq)
        (self.strays if self._is_stray(frame) else self.arrived).append(seq)
        order = self.live if self._replaying is None else self.replayed
        if order and seq <= order[-1]:
            self._fault(f"after {order[-1]}", frame)
        if self._replaying and not self._bounds[0] <= seq <= self._bounds[1]:
            self._fault(f"outside the replay {self._bounds}", frame)
        order.append(seq)

    def _is_stray(self, frame: Frame) -> bool:
        return frame["type"] == "entity_deleted" and not any(
            one.stop is None and one.wants(frame["seq"], frame["entity_id"])
            for one in self.asked
        )

    def _show(self, asked: Asked, frame: Frame) -> None:
        entity_id = frame["entity_id"]
        if frame["type"] == "entity_deleted" or not asked.interest.covers(entity_id):
            self._fault("in a snapshot", frame)
        if entity_id in asked.shown:
            self._fault("twice in a snapshot", frame)
        asked.shown[entity_id] = frame["seq"]

    def _subscribed(self, frame: Frame) -> None:
        asked = next((one for one in self.asked if self._is_meant(one, frame)), None)
        if asked is None:
            self._fault("nobody asked for it", frame)
            return
        if self.first_live is None:
            self.first_live = frame["seq"]
        self._end(frame)  # who subscribes again begins anew
        asked.start = frame["seq"] if asked.since is None else asked.since
        if asked.since is not None or asked.snapshot:
            self._sections.append(asked)

    def _is_meant(self, asked: Asked, frame: Frame) -> bool:
        is_same = frame.get(asked.interest.kind) == asked.interest.value
        return is_same and asked.start is None

    def _unsubscribed(self, frame: Frame) -> None:
        if not self._end(frame):
            self._fault("was not subscribed", frame)

    def _end(self, frame: Frame) -> bool:
        """Ends the subscription that this frame names, if there is one."""
        for one in self.asked:
            is_same = frame.get(one.interest.kind) == one.interest.value
            if is_same and one.start is not None and one.stop is None:
                one.stop = frame["seq"]
                return True
        return False

    def _section(self, frame: Frame) -> Asked | None:
        if self._replaying or self._showing or not self._sections:
            self._fault("not expected now", frame)
            return None
        return self._sections.pop(0)

    def _snapshot_start(self, frame: Frame) -> None:
        self._showing = self._section(frame)

    def _snapshot_end(self, frame: Frame) -> None:
        if self._showing is None:
            self._fault("without its start", frame)
            return
        self._showing.start = frame["seq"]
        self._showing = None

    def _replay_start(self, frame: Frame) -> None:
        self._replaying = self._section(frame)
        self._bounds = (frame["from_seq"], frame["to_seq"])
        self.replayed = []
        if self._replaying and self._replaying.since != frame["from_seq"] - 1:
            self._fault(f"not what was asked for: {self._replaying}", frame)

    def _replay_end(self, frame: Frame) -> None:
        if self._replaying is None or frame["seq"] != self._bounds[1]:
            self._fault(f"not the end of {self._bounds}", frame)
        self._replaying = None

    def _conflated(self, frame: Frame) -> None:
        self.skipped.append((frame["from_seq"], frame["to_seq"]))


def check(account: Account, history: Mapping[int, Said], *, upto: int) -> None:
    """Holds a connection that has seen everything up to `upto` against the log."""
    assert not account.faults, account.faults[:3]
    counts, strays = Counter(account.arrived), Counter(account.strays)
    unknown = (counts.keys() | strays.keys()) - history.keys()
    assert not unknown, f"not in the log: {sorted(unknown)[:3]}"
    repeated = [seq for seq, count in strays.items() if count > 1]
    assert not repeated, f"tombstones that came again: {repeated[:3]}"
    for seq, said in history.items():
        count = counts[seq]
        wanted = [
            one
            for one in account.asked
            if one.wants(seq, said.entity_id) and not one.has_shown(seq, said.entity_id)
        ]
        where = f"{seq}, {said}, {wanted}"
        if seq <= upto and not account.has_skipped(seq):
            if _is_told(account, seq, said):
                assert count or strays[seq], f"a tombstone is missing: {where}"
            if not all(account.is_open(one) for one in wanted):
                assert count, f"an event is missing: {where}"
        # Of what was conflated nobody knows which frames were told already.
        most = len(account.asked) if account.has_skipped(seq) else _most(wanted)
        assert count <= most, f"it came {count} times: {where}"


def _is_told(account: Account, seq: int, said: Said) -> bool:
    """Of a deletion everybody is told, but for who has seen what came after it."""
    first = account.first_live
    if not said.is_tombstone or first is None or seq <= first:
        return False
    return not any(one.has_shown(seq, said.entity_id) for one in account.asked)


def _most(wanted: Sequence[Asked]) -> int:
    """Once; once more for each subscription that had ended when another one began."""
    ended = sum(one.stop is not None for one in wanted)
    return ended + (len(wanted) > ended)
