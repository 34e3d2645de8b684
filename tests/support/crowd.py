"""A thousand WebSockets in one thread; each notes the `seq` of what it is told.

What comes is scanned as bytes, so that the crowd costs the machine little beside the
server that is looked at. Invariant: nothing that a member was told is left out, and
what happened to it (an end, a conflation) is kept.
"""

import re
import resource
import selectors
import socket
import threading
from array import array
from contextlib import suppress
from typing import Self
from urllib.parse import quote

from tests.support.account import Interest
from tests.support.client import Line, request
from tests.support.live import UPGRADE

# Of an event with one property; the wire's own head before it is skipped.
_UPDATE = re.compile(rb'\{"type":"state_update"[^{}]*"seq":(\d+)\}')
_CONFLATED = b'{"type":"conflated"'
_SUBSCRIBED = b'{"type":"subscribed"'
READ_BYTES = 1 << 18
LONGEST_FRAME = 1 << 16
POLL_SECONDS = 0.1


def allow_many() -> None:
    """As many open files as the system lets a process have, and its children."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def opened(
    port: int,
    interest: Interest,
    *,
    receive_bytes: int | None = None,
    is_stream: bool = False,
) -> socket.socket:
    """A WebSocket or a stream that has asked for something, and has read nothing."""
    line = Line(port, receive_bytes=receive_bytes)
    query = f"?{interest.kind}={quote(interest.value, safe='*')}"
    if is_stream:
        line.send(request("GET", f"/api/stream{query}"))
    else:
        line.send(request("GET", f"/api/ws{query}", **UPGRADE))
    return line.socket


def acknowledged(line: socket.socket) -> bytes:
    """Reads until it is subscribed; what came."""
    data = b""
    while _SUBSCRIBED not in data:
        more = line.recv(READ_BYTES)
        assert more, data
        data += more
    return data


class Member:
    """One of them. seqs: of the updates, in the order of their arrival."""

    def __init__(self, port: int, interest: Interest) -> None:
        self.interest = interest
        self.seqs = array("q")
        self.is_conflated = False
        self.has_ended = False
        self.line = opened(port, interest)
        self._rest = acknowledged(self.line)

    def read(self) -> None:
        data = b""
        with suppress(ConnectionResetError):
            data = self.line.recv(READ_BYTES)
        self.has_ended = not data
        data = self._rest + data
        self.is_conflated |= _CONFLATED in data
        end = 0
        for found in _UPDATE.finditer(data):
            self.seqs.append(int(found[1]))
            end = found.end()
        self._rest = data[end:][-LONGEST_FRAME:]


class Crowd:
    """All of them; a thread of its own reads what comes."""

    def __init__(self) -> None:
        allow_many()
        self.members: list[Member] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def join(self, port: int, *interests: Interest) -> None:
        """Before it is entered: one more member for each of these."""
        self.members += [Member(port, interest) for interest in interests]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for member in self.members:
            member.line.close()

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            for member in self.members:
                selector.register(member.line, selectors.EVENT_READ, member)
            while not self._over.is_set():
                for key, _ in selector.select(POLL_SECONDS):
                    key.data.read()
                    if key.data.has_ended:
                        selector.unregister(key.fileobj)
