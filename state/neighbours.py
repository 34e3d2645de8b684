"""The other server processes of this Flux, as far as they are heard of.

Each says by NOTIFY, every few seconds, that it is there and how many WebSockets it has.
Invariant: what is said here is a wake-up or a number for people; nothing that is
stored depends on it.
"""

import secrets
import time

from flux_project.pipeline import Call, Statement

CHANNEL = "flux_processes"
SAY_SECONDS = 2.0
FORGET_SECONDS = 7.0

_SAY = Statement(b"flux_say", b"SELECT pg_notify($1, $2)")
STATEMENTS = (_SAY,)


class Neighbours:
    """Who else is there. mark: what this process calls itself."""

    def __init__(self) -> None:
        self.mark = secrets.token_hex(8)
        self._heard: dict[str, tuple[float, int]] = {}

    def hear(self, payload: str) -> bool:
        """Notes what a process says; whether it was unknown until now."""
        mark, _, count = payload.partition(" ")
        if mark == self.mark or not count.isdecimal():
            return False
        is_new = mark not in self._heard
        self._heard[mark] = (time.monotonic(), int(count))
        return is_new

    def _present(self) -> list[int]:
        since = time.monotonic() - FORGET_SECONDS
        self._heard = {
            mark: said for mark, said in self._heard.items() if said[0] > since
        }
        return [count for _, count in self._heard.values()]

    @property
    def exist(self) -> bool:
        return bool(self._present())

    @property
    def connections(self) -> int:
        """How many WebSockets they have together."""
        return sum(self._present())

    def say(self, connections: int) -> Call:
        """What tells the others that this process is there."""
        return _SAY, (CHANNEL.encode(), f"{self.mark} {connections}".encode())

    def wake(self, channel: str) -> Call:
        """What wakes the others' feeds; this process's own knows its mark."""
        return _SAY, (channel.encode(), self.mark.encode())
