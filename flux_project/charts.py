"""Small bar charts, as the numbers that an SVG in a template needs. Pure.

Invariant: a value above 0 is always seen, however small it is beside the highest.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

HEIGHT = 100
_STEP = 10
_BAR = 8
_LEAST = 2.0


class Bar(Struct, frozen=True):
    """title: what a pointer that rests on it is told."""

    x: int
    y: float
    height: float
    title: str


class Chart(Struct, frozen=True):
    """Bars on a ground of `width` by HEIGHT, which may be stretched. first, last: what
    the ends of the axis are called."""

    bars: tuple[Bar, ...]
    width: int
    total: int
    peak: int
    first: str
    last: str
    bar: int = _BAR
    step: int = _STEP
    height: int = HEIGHT


def chart(
    points: Sequence[tuple[str, int]],
    *,
    unit: str = "",
    show: Callable[[int], str] = "{:,}".format,
) -> Chart:
    """A bar for each (label, value). For the titles, show: how a value is written,
    and unit: what stands behind it."""
    values = [value for _, value in points]
    peak = max(values, default=0)
    bars = []
    for place, (label, value) in enumerate(points):
        height = max(_LEAST, value * HEIGHT / peak) if value > 0 else 0.0
        bars.append(
            Bar(
                x=place * _STEP,
                y=round(HEIGHT - height, 2),
                height=round(height, 2),
                title=f"{label}: {show(value)} {unit}".rstrip(),
            )
        )
    return Chart(
        bars=tuple(bars),
        width=max(1, len(points)) * _STEP,
        total=sum(values),
        peak=peak,
        first=points[0][0] if points else "",
        last=points[-1][0] if points else "",
    )


class Share(Struct, frozen=True):
    """A row of a list of the highest. percent: of the first one, at least 1."""

    name: str
    value: int
    percent: int


def shares(rows: Sequence[tuple[str, int]]) -> list[Share]:
    """Rows in falling order, each with its part of the first."""
    most = rows[0][1] if rows else 0
    return [
        Share(name, value, max(1, round(value * 100 / most))) for name, value in rows
    ]
