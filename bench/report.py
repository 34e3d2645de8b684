"""Figures → a table for people, and JSON for machines."""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.measure import Figure, Spread

WIDTH = 132  # a line of the table stays a line, whatever the terminal says
_VERDICTS = {True: "[green]ok[/]", False: "[red]below[/]", None: ""}
_PRECISE_BELOW = 10
_EXACT_BELOW = 100


def table(figures: Iterable[Figure], *, title: str) -> Table:
    """One line a figure: median (lowest-highest), absolute and in its own unit."""
    made = Table(title=title, title_justify="left")
    for heading in ("measure", "absolute", "relative", "target", ""):
        made.add_column(heading, overflow="fold")
    for figure in figures:
        notes = "".join(f"\n  [dim]{note}[/]" for note in figure.notes)
        relative = ""
        if figure.relative is not None:
            relative = f"{spread(figure.relative)} {figure.relative_unit}"
        made.add_row(
            figure.what + notes,
            f"{spread(figure.value)} {figure.unit}",
            relative,
            bound(figure),
            _VERDICTS[figure.is_met],
        )
    return made


def markdown(figures: Iterable[Figure]) -> str:
    """The table as `docs/performance.md` keeps it."""
    lines = ["| measure | absolute | relative | target | |", "|---|---|---|---|---|"]
    for figure in figures:
        relative = ""
        if figure.relative is not None:
            relative = f"**{spread(figure.relative)}** {figure.relative_unit}"
        verdict = {True: "ok", False: "below", None: ""}[figure.is_met]
        what = "<br>".join((figure.what, *(f"*{note}*" for note in figure.notes)))
        value = f"{spread(figure.value)} {figure.unit}"
        lines.append(f"| {what} | {value} | {relative} | {bound(figure)} | {verdict} |")
    return "\n".join([*lines, ""])


def spread(values: Spread) -> str:
    if values.low == values.high:
        return number(values.median)
    return f"{number(values.median)} ({number(values.low)}-{number(values.high)})"


def number(value: float) -> str:
    if value < _PRECISE_BELOW:
        return f"{value:.2f}"
    if value < _EXACT_BELOW:
        return f"{value:.1f}"
    return f"{value:,.0f}"


def bound(figure: Figure) -> str:
    if figure.target is None:
        return ""
    unit = figure.relative_unit if figure.relative is not None else figure.unit
    sign = "≤" if figure.is_upper_bound else "≥"
    return f"{sign} {figure.target:g} {unit.split()[0]}"


def write_json(
    target: str, figures: Iterable[Figure], facts: Mapping[str, object]
) -> None:
    """Everything the table says and the machine's facts; `-` is standard output."""
    found = [asdict(figure) | {"is_met": figure.is_met} for figure in figures]
    text = json.dumps({**facts, "figures": found}, indent=1, ensure_ascii=False)
    if target == "-":
        sys.stdout.write(text + "\n")
    else:
        Path(target).write_text(text + "\n")


def console() -> Console:
    """People read standard error, so that standard output can be JSON alone."""
    return Console(stderr=True, highlight=False, width=WIDTH)
