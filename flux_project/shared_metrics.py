"""The counters of all worker processes in one directory, a few files each.

This is prometheus-client's multiprocess mode, with a worker's number in place of its
pid: a worker that was started anew counts on from where the one before it ended, and
there are never more files than places for workers. Invariant: `join` is called before
flux_project.metrics is imported, which makes the counters.
"""

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, multiprocess, values

# As the library reads it, wherever it needs the directory.
VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
# The library maps its files into memory: on a full disk, a byte of them that has no
# room yet would end the process. So they have theirs from the start: 120 pairs of a
# route and a method came to 450 KiB, and there are some more.
FILE_BYTES = 1 << 20
_KINDS = ("counter", "histogram", "gauge_livemin", "gauge_livesum")


def directory(data_dir: Path) -> Path:
    """Where the files lie; the supervisor makes it, and empties it."""
    return data_dir / "metrics"


def join(data_dir: Path, number: int) -> None:
    """A worker, first of all: from here on this process counts with the others.

    Raises OSError if its files cannot be made; it then counts for itself alone.
    """
    place = directory(data_dir)
    for kind in _KINDS:
        _make(place / f"{kind}_{number}.db")
    os.environ[VARIABLE] = str(place)
    values.ValueClass = values.MultiProcessValue(lambda: number)  # type: ignore[no-untyped-call]  # it has no types


def leave(data_dir: Path, number: int) -> None:
    """The supervisor, when a worker has ended: what it held open is open no more."""
    multiprocess.mark_process_dead(number, str(directory(data_dir)))  # type: ignore[no-untyped-call]  # likewise


def registry() -> CollectorRegistry | None:
    """What all workers have counted; None where this process counts for itself."""
    if VARIABLE not in os.environ:
        return None
    found = CollectorRegistry()
    multiprocess.MultiProcessCollector(found)  # type: ignore[no-untyped-call]  # likewise
    return found


def _make(path: Path) -> None:
    """An empty file of zeros, unless there is one. It appears with its full size: who
    reads it meanwhile would take an empty one for damaged."""
    if path.exists():
        return
    draft = path.with_suffix(".draft")
    draft.write_bytes(bytes(FILE_BYTES))
    draft.rename(path)
