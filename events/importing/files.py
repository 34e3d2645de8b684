"""Opens what an import reads: a plain file, .gz, a member of a .zip, standard input.

Invariant: offsets are those of the unpacked bytes, and `seek` works wherever an import
can be continued: packed files skip forward by unpacking. Only standard input cannot.
"""

import gzip
import hashlib
import io
import sys
import zipfile
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from flux_project.errors import Invalid

STDIN = "-"
_BUFFER_BYTES = 256 * 1024
FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
DAMAGED = (EOFError, OSError, zlib.error, zipfile.BadZipFile)
"""What reading a broken file, or a broken disk, raises."""


class Unreadable(Invalid):
    """This file cannot be read."""

    code = "unreadable"


@dataclass(frozen=True)
class Input:
    """An open file of rows.

    name: the file's own name, without folders. total: what `position` ends at, None
    when nobody knows; both count packed bytes for .gz. fingerprint: changes when the
    file does, None for standard input, which cannot be read twice.
    """

    name: str
    stream: BinaryIO
    total: int | None
    position: Callable[[], int]
    fingerprint: str | None
    close: Callable[[], None]

    def __enter__(self) -> "Input":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def guessed_format(self) -> str | None:
        """`csv` or `jsonl` by the name's ending; None when it says nothing."""
        return FORMATS.get(self._ending)

    @property
    def guessed_delimiter(self) -> str:
        return "\t" if self._ending == ".tsv" else ","

    @property
    def _ending(self) -> str:
        return Path(self.name.lower().removesuffix(".gz")).suffix


def open_input(path: str, *, member: str | None = None) -> Input:
    """Opens `path`, unpacking it by its ending. Raises Unreadable."""
    if path == STDIN:
        stream = sys.stdin.buffer
        return Input("stdin", stream, None, lambda: 0, None, lambda: None)
    with ExitStack() as opened:
        try:
            found = _open_file(Path(path), member, opened)
        except DAMAGED as error:
            raise Unreadable(f"{path} cannot be read: {_reason(error)}.") from None
        opened.pop_all()
    return found


def _open_file(path: Path, member: str | None, opened: ExitStack) -> Input:
    raw = opened.enter_context(path.open("rb"))
    about = path.stat()
    name, total, close = path.name, about.st_size, raw.close
    stream: BinaryIO = raw
    position = raw.tell
    if path.suffix.lower() == ".gz":
        packed = opened.enter_context(gzip.GzipFile(fileobj=raw))
        stream = cast(BinaryIO, packed)
    elif path.suffix.lower() == ".zip":
        archive = opened.enter_context(zipfile.ZipFile(raw))
        info = _member(archive, member, path.name)
        unpacked = opened.enter_context(archive.open(info))
        stream = cast(
            BinaryIO, io.BufferedReader(cast(io.RawIOBase, unpacked), _BUFFER_BYTES)
        )
        name, total, position = info.filename, info.file_size, stream.tell
    elif member is not None:
        raise Unreadable(f"{path} is no .zip file, so it has no member {member!r}.")
    seen = f"{path.resolve()}\0{name}\0{about.st_size}\0{about.st_mtime_ns}"
    fingerprint = hashlib.sha256(seen.encode(errors="surrogateescape")).hexdigest()
    return Input(Path(name).name, stream, total, position, fingerprint, close)


def _member(archive: zipfile.ZipFile, wanted: str | None, name: str) -> zipfile.ZipInfo:
    members = [info for info in archive.infolist() if not info.is_dir()]
    chosen = [info for info in members if wanted in (None, info.filename)]
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(info.filename for info in members[:10]) or "nothing"
    if wanted is not None:
        raise Unreadable(f"{name} holds no member {wanted!r}, but {names}.")
    raise Unreadable(f"{name} holds {names}: say which with --member.")


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or "it ends too early"
