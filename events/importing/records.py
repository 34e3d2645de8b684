"""An open file → its rows, each with the line it starts on and the offset behind it.

Invariant: the offset and line after any record are enough to go on from there. A row
that cannot be read is handed on as the error it is, and the reading goes on behind it.
Memory is bounded by one record, however long the lines are.
"""

import codecs
import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import msgspec
from msgspec import Raw

from events.importing.files import DAMAGED, Unreadable
from events.importing.rows import Row, RowRefused

MAX_LINE_BYTES = 8 * 1024 * 1024
MAX_FIELD_CHARACTERS = 1024 * 1024


class Place(NamedTuple):
    """Where reading stands: lines read, and bytes (unpacked) before the next one."""

    line: int = 0
    offset: int = 0


START = Place()


class Record(NamedTuple):
    """A row, or why it is none; `line` is its first one, `end` the place behind it."""

    line: int
    end: Place
    row: Row | RowRefused
    raw: bytes


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the file is written. An encoding must write a line feed as one byte 0A."""

    format: str
    delimiter: str = ","
    encoding: str = "utf-8"

    def check(self) -> None:
        """Raises Unreadable for what no file can be read with."""
        try:
            feed = "\n".encode(codecs.lookup(self.encoding).name)
        except (LookupError, UnicodeError):
            raise Unreadable(f"There is no encoding {self.encoding!r}.") from None
        if feed != b"\n":
            message = (
                f"{self.encoding} cannot be read line by line; convert the file first: "
                f"iconv -f {self.encoding} -t utf-8."
            )
            raise Unreadable(message)
        if len(self.delimiter) != 1:
            raise Unreadable("The delimiter must be one character (\\t for a tab).")


class Lines:
    """The lines of a stream as text; undecodable bytes become lone surrogates.

    `taken` gathers the bytes of the present record; an overlong line is cut, and
    `is_cut` says so until the next record begins.
    """

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._encoding = encoding
        self.number, self.offset = START
        self.taken: list[bytes] = []
        self.is_cut = False

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = self._read()
        if not line:
            raise StopIteration
        if self.number == 0:
            line = line.removeprefix(codecs.BOM_UTF8)
        self.number += 1
        self.taken.append(line)
        if len(line) == MAX_LINE_BYTES and line[-1:] != b"\n":
            self._skip_rest()
        return line.decode(self._encoding, "surrogateescape")

    @property
    def place(self) -> Place:
        return Place(self.number, self.offset)

    def begin_record(self) -> int:
        """Forgets the record before; the number of the line that comes next."""
        self.taken.clear()
        self.is_cut = False
        return self.number + 1

    def jump(self, place: Place) -> None:
        if place.offset != self.offset:
            self._stream.seek(place.offset)
        self.number, self.offset = place

    def _skip_rest(self) -> None:
        self.is_cut = True
        while (more := self._read()) and more[-1:] != b"\n":
            pass

    def _read(self) -> bytes:
        try:
            line = self._stream.readline(MAX_LINE_BYTES)
        except DAMAGED as error:
            message = f"The file is damaged after line {self.number}: {error}."
            raise Unreadable(message) from None
        self.offset += len(line)
        return line


class Table:
    """The rows of one file; for CSV `columns` are its header's names, else None."""

    columns: list[str] | None = None

    def __init__(self, stream: BinaryIO, layout: Layout) -> None:
        layout.check()
        self._lines = Lines(stream, layout.encoding)
        self._layout = layout
        if layout.format == "csv":
            csv.field_size_limit(MAX_FIELD_CHARACTERS)
            self.columns = self._header()

    def records(self, start: Place = START) -> Iterator[Record]:
        """The rows from `start` on; blank lines are none."""
        if start != START:
            self._lines.jump(start)
        return self._json_records() if self.columns is None else self._csv_records()

    def _reader(self) -> Iterator[list[str]]:
        return csv.reader(self._lines, delimiter=self._layout.delimiter, strict=True)

    def _header(self) -> list[str]:
        try:
            names = next(self._reader(), [])
        except csv.Error as error:
            raise Unreadable(f"The first line is no header: {error}.") from None
        if not names:
            raise Unreadable("The file is empty: its first line must name the columns.")
        names = [name.strip() or f"column_{at}" for at, name in enumerate(names, 1)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise Unreadable(f"The header names {twice[0]!r} twice.")
        return names

    def _csv_records(self) -> Iterator[Record]:
        lines, reader, names = self._lines, self._reader(), self.columns or []
        width = len(names)
        while True:
            first = lines.begin_record()
            row: Row | RowRefused
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                row = RowRefused(f"This is not CSV: {_csv_reason(error)}.")
            else:
                if not cells:
                    continue
                if len(cells) == width:
                    row = dict(zip(names, cells, strict=True))
                else:
                    message = f"It has {len(cells)} fields, the header names {width}."
                    row = RowRefused(message)
            yield self._record(first, row)

    def _json_records(self) -> Iterator[Record]:
        lines, decode = self._lines, msgspec.json.Decoder(dict[str, Raw]).decode
        first = lines.begin_record()
        for line in lines:
            text = line.strip()
            if text:
                yield self._record(first, _json_row(text, decode))
            first = lines.begin_record()

    def _record(self, first: int, row: Row | RowRefused) -> Record:
        lines = self._lines
        if lines.is_cut:
            row = RowRefused(f"A line is longer than {MAX_LINE_BYTES} bytes.")
        return Record(first, lines.place, row, b"".join(lines.taken))


def _json_row(text: str, decode: Callable[[bytes], dict[str, Raw]]) -> Row | RowRefused:
    try:
        return decode(text.encode())
    except UnicodeEncodeError:
        message = "It holds bytes that its encoding does not know (see --encoding)."
        return RowRefused(message)
    except (msgspec.DecodeError, RecursionError) as error:
        return RowRefused(f"This is not a JSON object: {error}.")


def _csv_reason(error: csv.Error) -> str:
    reason = str(error)
    if "field limit" in reason:
        limit = MAX_FIELD_CHARACTERS
        return f"a field of more than {limit} characters (a quote left open?)"
    if "unexpected end" in reason:
        return "the file ends within quotes"
    return reason
