"""`python -m bench`: measure Flux on this machine, every figure in R.

It starts a whole Flux and a bare handler on data of their own, and leaves nothing.
"""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from bench import listeners, profile, report, servers
from bench.measure import Figure, Lab, Spread
from bench.rows import ROWS
from bench.servers import CannotMeasure

SETTLE_SECONDS = 2.0  # until a server that has just started is idle
VERIFY = servers.PROJECT / "state/management/commands/flux_verify.py"


def arguments() -> argparse.Namespace:
    reader = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    common(reader)
    reader.add_argument(
        "--rows", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW",
        help=f"only these: {', '.join(ROWS)}",
    )  # fmt: skip
    reader.add_argument(
        "--profile", choices=list(profile.LOADS), help="where the server's time goes"
    )
    return reader.parse_args()


def common(reader: argparse.ArgumentParser) -> None:
    """What every kind of measurement takes."""
    reader.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="figures for machines"
    )
    reader.add_argument(
        "--markdown", type=Path, metavar="FILE", help="the table for the documents"
    )
    reader.add_argument("--seconds", type=float, default=3.0, help="of each run")
    reader.add_argument("--pairs", type=int, default=5, help="runs of each row")
    reader.add_argument(
        "--quick", action="store_true", help="3 pairs of 1 second: a first look"
    )
    reader.add_argument(
        "--directory", type=Path, help="where the data lies (a real disk, for fsync)"
    )


@contextmanager
def lab(given: argparse.Namespace) -> Iterator[Lab]:
    """Both servers, serving; afterwards neither they nor their data are left."""
    listeners.allow_many()
    seconds, pairs = (1.0, 3) if given.quick else (given.seconds, given.pairs)
    with (
        servers.directory(given.directory) as base,
        servers.baseline(base) as bare,
        servers.flux(base) as flux,
    ):
        time.sleep(SETTLE_SECONDS)
        made = Lab(flux, bare, seconds=seconds, pairs=pairs)
        made.idle_mib = flux.memory_mib()
        yield made


def verify(measured: Lab, console: Console) -> None:
    """The state that all this load left is the one its log gives."""
    if not VERIFY.exists():
        return
    console.print("Comparing the state with the log …")
    done = measured.flux.manage("flux_verify")
    if done.returncode:
        raise CannotMeasure(done.stdout + done.stderr)


def run(given: argparse.Namespace, console: Console) -> None:
    with lab(given) as measured:
        facts = servers.machine(measured.flux)
        console.print(", ".join(f"{name} {value}" for name, value in facts.items()))
        if given.profile:
            console.print(profile.of_row(measured, given.profile), markup=False)
            return
        figures: list[Figure] = []
        for name in given.rows:
            console.print(f"Measuring: {name} …")
            figures += ROWS[name](measured)
        verify(measured, console)
    finish(given, console, figures, measured, dict(facts))


def finish(
    given: argparse.Namespace,
    console: Console,
    figures: list[Figure],
    measured: Lab,
    facts: dict[str, object],
) -> None:
    """The table, and the same as JSON where it was asked for."""
    title = "Flux"
    if measured.r:
        micros = report.spread(Spread.of(measured.bare_micros))
        title = (
            f"R = {report.spread(Spread.of(measured.r))} requests/s of a bare handler,"
            f" {micros} µs of its server's processor time each"
        )
    console.print(report.table(figures, title=title))
    if given.markdown:
        given.markdown.write_text(report.markdown(figures))
    if given.json:
        report.write_json(given.json, figures, {"machine": facts, "r": measured.r})


def end(*_: object) -> None:
    sys.exit("ended by a signal")


def main(
    read: Callable[[], argparse.Namespace],
    work: Callable[[argparse.Namespace, Console], None],
) -> None:
    """Runs a measurement; whatever ends it, its servers and its data are gone."""
    signal.signal(signal.SIGTERM, end)
    try:
        work(read(), report.console())
    except CannotMeasure as error:
        sys.exit(f"The measurement failed: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted")


if __name__ == "__main__":
    main(arguments, run)
