"""The listening socket, opened once and handed to every web worker."""

import errno
import socket
import time
from collections.abc import Callable

from flux_project.sentences import CannotStart

PATIENCE_SECONDS = 2.0
BACKLOG = 2048


def listen(
    host: str, port: int, *, sleep: Callable[[float], None] = time.sleep
) -> socket.socket:
    """Raises CannotStart when the address is taken for longer than a moment.

    The moment is for a predecessor that is just ending.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return _open(host, port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                sleep(0.1)
                continue
            raise CannotStart(_sentence(error, host=host, port=port)) from None


def _open(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened


def _sentence(error: OSError, *, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is taken: end what uses it, or set PORT."
    reason = (error.strerror or str(error)).lower()
    return f"Cannot listen on {host}, port {port}: {reason} (see FLUX_HOST and PORT)."
