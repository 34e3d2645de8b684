"""A file's rows come with the line they start on and the place behind them."""

import io

import pytest

from events.importing import records
from events.importing.files import Unreadable
from events.importing.records import Layout, Record, Table
from events.importing.rows import RowRefused


def table(data: bytes, **layout: str) -> Table:
    return Table(io.BytesIO(data), Layout(**{"format": "csv", **layout}))


def read(data: bytes, **layout: str) -> list[tuple[int, object]]:
    """Line and row, or line and reason."""
    return [seen(record) for record in table(data, **layout).records()]


def seen(record: Record) -> tuple[int, object]:
    row = record.row
    return record.line, row.message if isinstance(row, RowRefused) else dict(row)


def test_lines_are_physical_ones_also_behind_quoted_line_feeds() -> None:
    data = b'a,b\r\n1,"x\ny\n"\r\n\r\n2,z\n'
    assert read(data) == [(2, {"a": "1", "b": "x\ny\n"}), (6, {"a": "2", "b": "z"})]


def test_a_bad_row_is_refused_and_the_next_one_is_read() -> None:
    data = b'a,b\n1\n1,2,3\n"x"y,2\n\xff,1\n5,6\n7,"open\n8,9'
    found = read(data)
    assert [line for line, _ in found] == [2, 3, 4, 5, 6, 7]
    assert found[0][1] == "It has 1 fields, the header names 2."
    assert found[1][1] == "It has 3 fields, the header names 2."
    assert "not CSV" in str(found[2][1])
    assert found[4][1] == {"a": "5", "b": "6"}
    assert found[5][1] == "This is not CSV: the file ends within quotes."


def test_reading_goes_on_from_any_place() -> None:
    data = b'a,b\n1,"x\ny"\nbad\n2,z\n\n3,w\n'
    whole = list(table(data).records())
    for at, record in enumerate(whole):
        rest = list(table(data).records(record.end))
        assert [seen(one) for one in rest] == [seen(one) for one in whole[at + 1 :]]


def test_raw_is_the_row_as_it_stands() -> None:
    raws = [record.raw for record in table(b'a,b\n1,"x\ny"\n\n2,z').records()]
    assert raws == [b'1,"x\ny"\n', b"2,z"]


def test_a_byte_order_mark_and_unnamed_columns_are_taken_care_of() -> None:
    assert read(b"\xef\xbb\xbfa, ,c\n1,2,3") == [
        (2, {"a": "1", "column_2": "2", "c": "3"})
    ]


def test_delimiter_and_encoding() -> None:
    assert read(b"a;b\n\xe9;\x80", delimiter=";", encoding="cp1252") == [
        (2, {"a": "é", "b": "€"})
    ]


@pytest.mark.parametrize(
    ("data", "layout", "reason"),
    [
        (b"", {}, "empty"),
        (b"\n", {}, "empty"),
        (b"a,b,a\n", {}, "'a' twice"),
        (b"a\n", {"encoding": "utf-16"}, "line by line"),
        (b"a\n", {"encoding": "klingon"}, "klingon"),
        (b"a\n", {"delimiter": "ab"}, "one character"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_says_why(
    data: bytes, layout: dict[str, str], reason: str
) -> None:
    with pytest.raises(Unreadable, match=reason):
        read(data, **layout)


def test_json_lines_are_objects_or_refused() -> None:
    data = b'{"a":1}\n\n[1]\n{"a":NaN}\n{"a":"\xff"}\n{"a":"\\ud800"}\n' + b'{"b":2}'
    found = read(data, format="jsonl")
    assert [line for line, _ in found] == [1, 3, 4, 5, 6, 7]
    assert [isinstance(row, dict) for _, row in found] == [True] + [False] * 4 + [True]


def test_deep_nesting_and_overlong_lines_are_refused_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deep = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    monkeypatch.setattr(records, "MAX_LINE_BYTES", 250_000)
    long = b'{"a":"' + b"x" * 600_000 + b'"}'
    found = read(deep + b"\n" + long + b'\n{"a":1}', format="jsonl")
    assert "not a JSON object" in str(found[0][1])
    assert found[1] == (2, "A line is longer than 250000 bytes.")
    assert found[2][0] == 3


def test_a_field_without_end_costs_one_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(records, "MAX_FIELD_CHARACTERS", 50)
    found = read(b'a,b\n1,"open\n' + b"2,y\n" * 20 + b"3,z\n")
    assert "quote left open" in str(found[0][1])
    assert found[-1] == (23, {"a": "3", "b": "z"})
