"""Listeners in trouble: one reads 1 KB/s, one never reads, one is gone without a word.

They ask for everything. Invariant: they are what they are from the first event on.
"""

import ctypes
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench import listeners

# So many events about this entity fill what server and kernel keep for each of them.
ENTITY = "trouble/all"
EVENTS = 2_000
RECEIVE_BYTES = 4_096
SLOW_BYTES, SLOW_SECONDS = 1_000, 1.0
_ADDRESS = "/api/ws?entity_id=*"
_ATTACH_FILTER = 26  # SO_ATTACH_FILTER, which Python has no name for
_RETURN = 0x06  # BPF_RET | BPF_K


@contextmanager
def listening(port: int) -> Iterator[None]:
    """All three, while the block runs."""
    over = threading.Event()
    with ExitStack() as opened:
        slow, _, gone = (opened.enter_context(_open(port)) for _ in range(3))
        vanish(gone)
        reader = threading.Thread(target=_read_slowly, args=(slow, over), daemon=True)
        reader.start()
        try:
            yield
        finally:
            over.set()
            reader.join()


def _open(port: int) -> socket.socket:
    line, _ = listeners.connect(port, _ADDRESS, receive_bytes=RECEIVE_BYTES)
    return line


def _read_slowly(line: socket.socket, over: threading.Event) -> None:
    while not over.wait(SLOW_SECONDS):
        if not line.recv(SLOW_BYTES):
            return


def vanish(line: socket.socket) -> None:
    """The kernel drops whatever comes for this socket from now on: to its peer it is
    like a machine without power, which acknowledges nothing and refuses nothing."""
    program = ctypes.create_string_buffer(struct.pack("HBBI", _RETURN, 0, 0, 0))
    fprog = struct.pack("@HP", 1, ctypes.addressof(program))
    line.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, fprog)
