"""How far an import got, kept between two runs.

Invariant: a checkpoint saves time and decides nothing. It names an event that the
server must still hold at that place of its log; if it does not (another server, a new
log), or if the file or the options changed, the import starts over. Event ids alone
make that safe.
"""

import contextlib
import hashlib
import os
from pathlib import Path

import msgspec

from events.importing.records import Place


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Everything before `place` is on the server's disk, but for what it refused."""

    place: Place
    rows: int
    refused: int
    event_id: str
    seq: int


class CheckpointFile:
    """One import's file in `folder`. Where nothing can be written, that costs time."""

    def __init__(self, folder: Path, *identity: str) -> None:
        digest = hashlib.sha256("\0".join(identity).encode(errors="surrogateescape"))
        self._path = folder / f"{digest.hexdigest()[:32]}.json"

    def load(self) -> Checkpoint | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Checkpoint)
        except (OSError, msgspec.DecodeError):
            return None

    def save(self, checkpoint: Checkpoint) -> None:
        """Replaces it whole; not fsynced, as an older one would do as well."""
        beside = self._path.with_suffix(f".{os.getpid()}.part")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(msgspec.json.encode(checkpoint))
            beside.replace(self._path)

    def clear(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


class NoCheckpoint(CheckpointFile):
    """For what cannot be read twice."""

    def __init__(self) -> None:
        super().__init__(Path())

    def load(self) -> Checkpoint | None:
        return None

    def save(self, checkpoint: Checkpoint) -> None:
        """Keeps nothing."""

    def clear(self) -> None:
        """There is nothing to clear."""
