"""What the operating system knows about processes. Invariant: a process is ended only
after its name and working directory showed that it is ours; a pid alone proves nothing.
"""

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
_M_MMAP_THRESHOLD = -3
LARGE_BYTES = 1 << 20


def die_with_parent(parent: int) -> None:
    """End this process at once when its parent ends, however the parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it had ended before the line above took effect
        sys.exit(1)


def give_large_memory_back() -> None:
    """Buffers of a megabyte and more go back to the system when they are freed.

    glibc would begin to take them from its heap once it has seen some, where a small
    one behind each keeps the space from being used again (measured: 9 MB more for every
    batch of 9 MB beside which somebody stopped reading).
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # another C library has its own ways
        libc.mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)


def allow_open_files() -> int:
    """Allows this process as many open files as the system lets it have; how many.

    Each connection is one. What a process is started with is often 1,024, a bound from
    the time of select(), which nothing here uses.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    except (ValueError, OSError):
        pass  # where the system's own bound is lower than what it says
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def postgres_inside(cluster: Path) -> list[psutil.Process]:
    """PostgreSQL's processes that work in this cluster: each one changes to it."""
    directory = str(cluster.resolve())
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() == "postgres" and process.cwd() == directory:
                found.append(process)
        except psutil.Error:
            continue  # it has ended, or is another user's
    return found


def send(targets: list[psutil.Process], number: signal.Signals) -> None:
    for process in targets:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
