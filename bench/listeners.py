"""A WebSocket that listens, as light as Python can make it.

The frames of one listener have one size, so what arrives is counted by dividing, and of
a whole chunk only the seq of the last frame is read: it must be as far from the seq
before as frames were counted. What does not divide is taken apart frame by frame.
Invariant: a frame that is missing, repeated or conflated is a Fault.
"""

import re
import resource
import select
import socket
import time

from bench.plan import HOST

CHUNK_BYTES = 1 << 20
OPEN_SECONDS = 30.0
_KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
_SWITCHED = b"HTTP/1.1 101 "
_STREAMS = b"HTTP/1.1 200 "
# The beginnings of frames, RFC 6455 §5.2.
_CLOSE, _PING = 0x88, 0x89
_HEAD_BYTES, _LONG_HEAD_BYTES, _LONG = 2, 4, 126
_PINGED = b"\x89\x00"
# An empty pong, masked with zeros: a client must mask.
_PONG = b"\x8a\x80\0\0\0\0"
_UPDATE = b'{"type":"state_update"'
_SUBSCRIBED = b'{"type":"subscribed"'
_CONFLATED = b'{"type":"conflated"'
_SEQ = re.compile(rb'"seq":(\d+)\}$')
_TIMED = re.compile(rb'"value":(\d+),"timestamp":"[^"]+","seq":(\d+)\}$')
_END_BYTES = 32  # of a frame: its seq stands there

# All listeners of a process read into the same memory, one after another.
_buffer = bytearray(CHUNK_BYTES)
_view = memoryview(_buffer)


class Fault(RuntimeError):
    """A listener was not told what it must be told."""


def allow_many() -> None:
    """As many open files as the system lets a process have; its children inherit it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def connect(
    port: int, address: str, *, receive_bytes: int | None = None
) -> tuple[socket.socket, bytes]:
    """A WebSocket at /api/ws…, or a stream at /api/stream…, and what came behind the
    head of its answer. receive_bytes: as much as the kernel keeps for it, about."""
    line = socket.socket()
    if receive_bytes is not None:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    line.settimeout(OPEN_SECONDS)
    line.connect((HOST, port))
    upgrade = (
        "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n"
        f"sec-websocket-key: {_KEY}\r\n"
    )
    is_socket = address.startswith("/api/ws")
    line.sendall(
        f"GET {address} HTTP/1.1\r\nhost: {HOST}:{port}\r\n"
        f"{upgrade if is_socket else ''}\r\n".encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _some(line)
    head, _, rest = answer.partition(b"\r\n\r\n")
    if not head.startswith(_SWITCHED if is_socket else _STREAMS):
        line.close()
        raise Fault(f"not a listener: {head[:300]!r}")
    return line, rest


def _some(line: socket.socket) -> bytes:
    data = line.recv(CHUNK_BYTES)
    if not data:
        raise Fault("the server hung up")
    return data


class Listener:
    """One socket with one subscription. frames: how many updates it was told; stride:
    how far apart their seqs are, if that is known."""

    stride = 1

    def __init__(self, port: int, query: str) -> None:
        self.line, self._rest = connect(port, f"/api/ws{query}")
        self.frames = 0
        self.last_seq = 0
        self._is_subscribed = False
        self._walk(b"")
        while not self._is_subscribed:
            self._walk(_some(self.line))
        self.line.setblocking(False)

    def fileno(self) -> int:
        return self.line.fileno()

    def close(self) -> None:
        self.line.close()

    def hear(self) -> None:
        """Takes what has arrived."""
        size = self.line.recv_into(_buffer)
        if not size:
            raise Fault("a listener was hung up on")
        self._take(size)

    def _take(self, size: int) -> None:
        self._walk(bytes(_view[:size]))

    def _walk(self, data: bytes) -> None:
        """Frame by frame; keeps what of the last one has come."""
        data = self._rest + data
        start = 0
        while (found := _text(data, start)) is not None:
            begin, end = found
            self._frame(data[start], data[begin:end], end - start)
            start = end
        self._rest = data[start:]

    def _frame(self, kind: int, text: bytes, size: int) -> None:
        if kind == _PING:
            self.line.send(_PONG)
        elif text.startswith(_UPDATE):
            self._update(text, size)
        elif text.startswith(_SUBSCRIBED):
            self._is_subscribed = True
        elif kind == _CLOSE or text.startswith(_CONFLATED):
            raise Fault(f"a listener did not keep up: {text!r}")

    def _update(self, text: bytes, size: int) -> None:
        """A frame of an event; `size` with its head."""
        raise Fault(f"nobody published, but there came {text!r}")


def _text(data: bytes, start: int) -> tuple[int, int] | None:
    """From where to where the text of a frame goes; None while it is not complete."""
    if len(data) < start + _HEAD_BYTES:
        return None
    begin, length = start + _HEAD_BYTES, data[start + 1]
    if length == _LONG:
        begin = start + _LONG_HEAD_BYTES
        length = int.from_bytes(data[begin - 2 : begin], "big")
    return (begin, begin + length) if begin + length <= len(data) else None


class Held:
    """Connections that are kept open, and on which little is said."""

    def __init__(self, port: int) -> None:
        allow_many()
        self._port = port
        self._lines: list[socket.socket] = []
        self._poll = select.epoll()

    def add(self, count: int, address: str) -> None:
        """So many more; `%d` in the address is each one's own number."""
        for _ in range(count):
            line, _ = connect(self._port, address % len(self._lines))
            self._lines.append(line)
            self._poll.register(line, select.EPOLLIN)

    def keep_only(self, count: int) -> None:
        """Closes the newest ones."""
        for line in self._lines[count:]:
            line.close()
        del self._lines[count:]

    def listen(self, seconds: float) -> None:
        """Reads what comes, and answers pings, for so long."""
        lines = {line.fileno(): line for line in self._lines}
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for number, _ in self._poll.poll(left):
                data = _some(lines[number])
                if data.startswith(_PINGED) or data.endswith(_PINGED):
                    lines[number].send(_PONG)

    def close(self) -> None:
        self.keep_only(0)
        self._poll.close()


class Counting(Listener):
    """Counts frames. stride: how far apart the seqs of its events are."""

    def __init__(self, port: int, query: str, *, stride: int) -> None:
        self.stride = stride
        self._size = CHUNK_BYTES
        super().__init__(port, query)

    def _take(self, size: int) -> None:
        rest = self._rest
        count, left = divmod(len(rest) + size, self._size)
        stop = size - left
        if count and stop >= _END_BYTES:
            found = _SEQ.search(_buffer, stop - _END_BYTES, stop)
            seq = self.last_seq + count * self.stride
            if found is not None and int(found[1]) == seq:
                self.last_seq = seq
                self.frames += count
                self._rest = bytes(_view[stop:size])
                return
        self._walk(bytes(_view[:size]))

    def _update(self, text: bytes, size: int) -> None:
        found = _SEQ.search(text)
        seq = int(found[1]) if found else 0
        if self.last_seq and seq != self.last_seq + self.stride:
            raise Fault(f"behind {self.last_seq} came {text!r}")
        self._size, self.last_seq = size, seq
        self.frames += 1


class Timing(Listener):
    """Notes how old each event is when its frame is read: its value says when it was
    sent, in nanoseconds since `began_ns`."""

    def __init__(self, port: int, query: str, *, began_ns: int) -> None:
        self._began_ns = began_ns
        self._now = 0
        self.delays: list[float] = []
        super().__init__(port, query)

    def _take(self, size: int) -> None:
        self._now = time.monotonic_ns() - self._began_ns
        super()._take(size)

    def _update(self, text: bytes, size: int) -> None:
        found = _TIMED.search(text)
        if found is None or int(found[2]) <= self.last_seq:
            raise Fault(f"behind {self.last_seq} came {text!r}")
        self.last_seq = int(found[2])
        self.frames += 1
        self.delays.append((self._now - int(found[1])) / 1e6)
