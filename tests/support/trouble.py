"""Clients in trouble: one that reads slowly, and one that is gone without a word."""

import ctypes
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from tests.support.listener import HOST, End, Listener, connected

# The least that the kernel gives a socket: its window moves with every 600 bytes.
LEAST_BYTES = 1
_TURN_SECONDS = 0.25
_HURRIED_BYTES = 1 << 16
# As <asm-generic/socket.h> and <linux/filter.h> have them; Python has no names for it.
_ATTACH_FILTER, _RETURN = 26, 0x06


class Slow(Listener):
    """A WebSocket that reads so many bytes a second, until it is told to hurry."""

    def __init__(self, port: int, query: str = "", *, bytes_a_second: int) -> None:
        super().__init__()
        self._turn_bytes = round(bytes_a_second * _TURN_SECONDS)
        self._is_hurried = threading.Event()
        self._line = connected(port, LEAST_BYTES)
        self._protocol = ClientProtocol(
            parse_uri(f"ws://{HOST}:{port}/api/ws{query}"), max_size=None
        )
        self._protocol.send_request(self._protocol.connect())
        self._answer()
        self.account.ask_by(query)

    def hurry(self) -> None:
        """Reads as fast as it can from now on."""
        self._line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _HURRIED_BYTES)
        self._is_hurried.set()

    def _answer(self) -> None:
        """What the protocol itself has to say: the request, pongs."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._line.sendall(b"".join(self._protocol.data_to_send()))

    def _some(self) -> bytes:
        if self._is_hurried.is_set():
            return self._line.recv(_HURRIED_BYTES)
        time.sleep(_TURN_SECONDS)
        return self._line.recv(self._turn_bytes)

    def _texts(self) -> Iterator[str]:
        try:
            while data := self._some():
                self._protocol.receive_data(data)
                for event in self._protocol.events_received():
                    if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                        yield bytes(event.data).decode()
                self._answer()
        except OSError as error:
            self.ended(End(1006, repr(error)))
        self.ended(End(1006, ""))

    def close(self) -> None:
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self.join()
        self._line.close()


def vanish(line: socket.socket) -> None:
    """The kernel drops whatever comes for this socket from now on: to its peer it is
    like a machine without power, which acknowledges nothing and refuses nothing."""
    if sys.platform != "linux":
        pytest.skip("only Linux lets a socket drop what comes for it")
    program = ctypes.create_string_buffer(struct.pack("HBBI", _RETURN, 0, 0, 0))
    code = struct.pack("@HP", 1, ctypes.addressof(program))
    line.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, code)


Ends = tuple[int, int]


def ends_of(line: socket.socket) -> Ends:
    """The ports of a connection: the server's, and the client's."""
    return line.getpeername()[1], line.getsockname()[1]


def is_held(ends: Ends) -> bool:
    """Whether the server's end of a connection still takes memory of the kernel, though
    no process may have it open any more."""
    found = psutil.net_connections("tcp4")
    return any((one.laddr[1:], one.raddr[1:]) == (ends[:1], ends[1:]) for one in found)
