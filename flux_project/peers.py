"""The other end of a connection: how much waits for it, here and in the kernel.

What the kernel has taken is not what the peer has: a peer that vanished is seen by the
bytes that it does not acknowledge. Invariant: nothing here blocks.
"""

import asyncio
import fcntl
import socket
import struct
import termios
from typing import cast

# The kernel's share of what is under way to a listener. Small, so that a slow one is
# seen; larger, the kernel would hold megabytes of what is old by then.
SEND_BUFFER_BYTES = 64 << 10
# Who was told goodbye, because the server ends, has so long to take it.
PARTING_SECONDS = 0.5
_NO_LINGER = struct.pack("ii", 1, 0)


def narrow(transport: asyncio.BaseTransport) -> None:
    """Bounds what the kernel holds for a listener."""
    line = transport.get_extra_info("socket")
    if line is not None and not transport.is_closing():
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)


def reset(transport: asyncio.Transport) -> None:
    """Ends a connection without a word; nothing that still waits for it is kept.

    The kernel would go on offering what it holds, for minutes, to a peer that takes
    nothing (measured: 90 KiB each).
    """
    line = transport.get_extra_info("socket")
    if line is not None and not transport.is_closing():
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


def part(loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
    """Ends a connection that was told goodbye, within PARTING_SECONDS: a peer that
    takes nothing would hold up the end of the server."""
    loop.call_later(PARTING_SECONDS, _drop, transport)


def _drop(transport: asyncio.Transport) -> None:
    if transport.get_write_buffer_size():
        reset(transport)
    else:
        transport.abort()  # the kernel has it all, and goes on offering it


def waiting_bytes(transport: asyncio.Transport) -> int:
    """What was written and not yet acknowledged by the peer's kernel."""
    return transport.get_write_buffer_size() + _unacknowledged(transport)


def _unacknowledged(transport: asyncio.Transport) -> int:
    line = transport.get_extra_info("socket")
    try:
        answer = fcntl.ioctl(line.fileno(), termios.TIOCOUTQ, b"\0" * 4)
    except (OSError, AttributeError, ValueError):
        return 0  # it is closed, or this system does not say
    return cast(int, struct.unpack("i", answer)[0])
