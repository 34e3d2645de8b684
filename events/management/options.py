"""The options of `flux_import` → a Layout and a Plan, or what is wrong with them."""

import argparse
import codecs
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from events.importing import times
from events.importing.files import Input
from events.importing.records import Layout
from events.importing.rows import Plan
from events.management import terminal
from flux_project.errors import Invalid

_MEANING = (
    *("entity", "prefix", "time", "time_format", "timezone", "stream", "source"),
    *("property", "exclude", "types", "text", "null", "nulls"),
    *("format", "delimiter", "encoding", "member", "import_id", "id_prefix"),
)


class BadOption(Invalid):
    """This option does not fit."""

    code = "bad_option"


def add_file_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE",
        help=".csv, .tsv, .jsonl, either as .gz or in a .zip; or -",
    )
    _add_meaning(parser.add_argument_group("what the columns mean"))
    _add_values(parser.add_argument_group("values"))
    _add_reading(parser.add_argument_group("how the file is written"))
    _add_running(parser.add_argument_group("running"))


def _add_meaning(group: Any) -> None:
    add = group.add_argument
    add(
        "--entity",
        nargs="+",
        required=True,
        metavar="COLUMN",
        help="the entity's id: these columns, joined by /",
    )
    add("--prefix", default="", help="put before every id, such as fleet/aircraft/")
    add(
        "--time",
        nargs="+",
        default=[],
        metavar="COLUMN",
        help="one column, or year month day [hour [minute [second]]]; "
        "without it the server dates the events",
    )
    add(
        "--time-format",
        default=times.AUTO,
        metavar="FORM",
        help="rfc3339, epoch, epoch_ms or a pattern like %%d.%%m.%%Y "
        "(default: what it looks like)",
    )
    add(
        "--timezone",
        default="UTC",
        metavar="ZONE",
        help="where times without an offset were taken (default UTC)",
    )
    add("--stream", default="import", help="the events' stream (default import)")
    add("--source", help="the events' source (default: the file's name)")
    add(
        "--property",
        nargs="+",
        action="extend",
        metavar="NAME[=COLUMN]",
        help="only these (default: every column that is neither entity nor time)",
    )
    add(
        "--exclude",
        nargs="+",
        default=[],
        action="extend",
        metavar="COLUMN",
        help="all but these",
    )


def _add_values(group: Any) -> None:
    add = group.add_argument
    add(
        "--types",
        choices=("auto", "text"),
        default="auto",
        help="CSV: numbers and booleans as such, or all text (default auto)",
    )
    add(
        "--text",
        nargs="+",
        default=[],
        action="extend",
        metavar="COLUMN",
        help="CSV: columns that stay text, such as postal codes",
    )
    add(
        "--null",
        nargs="+",
        default=[],
        action="extend",
        metavar="TEXT",
        help="CSV: texts that mean missing, such as NA (an empty field always does)",
    )
    add(
        "--nulls",
        choices=("omit", "keep"),
        help="a missing value: leave the property as it was, or set it to null "
        "(default: omit for CSV, keep for JSON lines)",
    )


def _add_reading(group: Any) -> None:
    add = group.add_argument
    add(
        "--format",
        choices=("csv", "jsonl"),
        help="default: by the file's ending",
    )
    add("--delimiter", help="CSV: default a comma, for .tsv a tab")
    add("--encoding", default="utf-8", help="default utf-8")
    add("--member", metavar="NAME", help="which file of a .zip, if it holds several")


def _add_running(group: Any) -> None:
    add = group.add_argument
    add(
        "--dry-run",
        action="store_true",
        help="print the first events, checked as the server would, and send nothing",
    )
    add(
        "--limit",
        type=terminal.number(1, 10**15),
        metavar="N",
        help="only the first N rows (with --dry-run: 10)",
    )
    add("--rejects", metavar="FILE", help="append refused rows to it, as JSON lines")
    add(
        "--import-id",
        metavar="NAME",
        help="what makes the same row the same event again "
        "(default: the file's name without folders; for - a new one each time)",
    )
    add("--id-prefix", default="", metavar="TEXT", help="put before every eventId")


def identity(options: Mapping[str, Any]) -> str:
    """A text that changes when the events that a file makes change."""
    return repr([(name, options[name]) for name in _MEANING])


def layout(options: Mapping[str, Any], source: Input) -> Layout:
    form = options["format"] or source.guessed_format
    if form is None:
        raise BadOption(f"Say with --format whether {source.name} is csv or jsonl.")
    delimiter = options["delimiter"] or source.guessed_delimiter
    return Layout(
        format=form,
        delimiter="\t" if delimiter == "\\t" else delimiter,
        encoding=_encoding(options["encoding"]),
    )


def plan(
    options: Mapping[str, Any], source: Input, layout: Layout, columns: list[str] | None
) -> Plan:
    """The Plan; raises BadOption where it does not fit the file's columns."""
    is_csv = layout.format == "csv"
    nulls = options["nulls"] or ("omit" if is_csv else "keep")
    keep_text = options["types"] == "text"
    made = Plan(
        entity=tuple(options["entity"]),
        prefix=options["prefix"],
        time=_time_columns(options["time"]),
        reading=times.Reading(_form(options), times.zone(options["timezone"])),
        stream=options["stream"],
        source=options["source"] or source.name,
        properties=_properties(options["property"]),
        exclude=frozenset(options["exclude"]),
        text_columns=None if keep_text else frozenset(options["text"]),
        nulls=frozenset({"", *options["null"]}),
        omit_nulls=nulls == "omit",
        import_id=_import_id(options, source),
        id_prefix=options["id_prefix"],
    )
    if columns is not None:
        _check_columns(made, columns)
    return made


def _check_columns(made: Plan, columns: Sequence[str]) -> None:
    if unknown := sorted(made.columns().difference(columns)):
        shown = ", ".join(columns[:30])
        raise BadOption(f"There is no column {unknown[0]!r}. The columns are: {shown}.")


def _encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise BadOption(f"There is no encoding {name!r}.") from None


def _form(options: Mapping[str, Any]) -> str:
    form: str = options["time_format"]
    known = (times.AUTO, times.RFC3339, times.EPOCH, times.EPOCH_MS)
    if form in known or "%" in form:
        return form
    message = f"--time-format is {', '.join(known)} or a pattern with %, not {form!r}."
    raise BadOption(message)


def _time_columns(columns: Sequence[str]) -> tuple[str, ...]:
    if len(columns) < 2 or times.LEAST_PARTS <= len(columns) <= len(times.PARTS):
        return tuple(columns)
    raise BadOption(
        "--time takes one column, or year month day [hour [minute [second]]]."
    )


def _properties(wanted: Sequence[str] | None) -> dict[str, str] | None:
    if wanted is None:
        return None
    pairs = [text.partition("=") for text in wanted]
    return {name: column or name for name, _, column in pairs}


def _import_id(options: Mapping[str, Any], source: Input) -> str:
    given = options["import_id"]
    if given:
        return str(given)
    return source.name if source.fingerprint else str(uuid.uuid4())
