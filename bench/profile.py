"""Where the server's time goes while a row's load runs on it.

The threads' own processor times come from the system; the functions from py-spy, which
counts who holds the interpreter's lock (it takes a waiting thread for a busy one).
"""

import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from bench import live, rows
from bench.measure import Lab
from bench.plan import Plan
from bench.servers import CannotMeasure
from bench.traffic import Kind

RATE = 250
TOP = 30
BUSIEST = 6
LEAD_SECONDS = 1.0
MIN_SECONDS = 5.0

Stack = tuple[list[str], int]  # its frames from the outside in, and how often
Load = Callable[[Lab, float], int]  # for so many seconds; how many items it was


def of_row(lab: Lab, name: str) -> str:
    """A text: the busy threads, and in which functions they were."""
    seconds = max(lab.seconds, MIN_SECONDS)
    rows.fill(lab, lab.order("batch", 4), events=rows.HISTORY_EVENTS)
    rows.fill_list(lab)
    before = _thread_seconds(lab)
    stacks, items = _record(lab, LOADS[name], seconds)
    spent = {
        name: total - before.get(name, 0.0)
        for name, total in _thread_seconds(lab).items()
    }
    busiest = sorted(spent.items(), key=lambda each: -each[1])[:BUSIEST]
    threads = [f"{1e6 * used / items:8.1f} µs  {name}" for name, used in busiest]
    heading = "Processor time each, by thread"
    return "\n".join([heading, *threads, "", summary(stacks, RATE * seconds)])


def _sending(kind: Kind, connections: int) -> Load:
    def load(lab: Lab, seconds: float) -> int:
        order = lab.order(kind, connections, seconds=seconds)
        return lab.take(order).answers * max(1, order.events_per_request)

    return load


def _listening(plan: Callable[..., Plan]) -> Load:
    def load(lab: Lab, seconds: float) -> int:
        return live.hear(lab, plan(lab, seconds=seconds)).frames

    return load


def _listing(lab: Lab, seconds: float) -> int:
    until = time.monotonic() + seconds
    downloads = 0
    while time.monotonic() < until:
        rows.download(lab)
        downloads += 1
    return downloads * rows.LIST_ENTITIES


LOADS: Mapping[str, Load] = {
    "post": _sending("publish", rows.CONNECTIONS),
    "batch": _sending("batch", rows.BATCH_CONNECTIONS),
    "get": _sending("get", rows.CONNECTIONS),
    "history": _sending("history", rows.HISTORY_CONNECTIONS),
    "list": _listing,
    "frames": _listening(live.plan_of_frames),
    "own": _listening(live.plan_of_own),
}


def _thread_seconds(lab: Lab) -> dict[str, float]:
    """Processor time of each thread so far; the stacks below say which is which."""
    return {
        f"thread ({thread.id})": thread.user_time + thread.system_time
        for thread in lab.flux.worker.threads()
    }


def _record(lab: Lab, load: Load, seconds: float) -> tuple[list[Stack], int]:
    """Samples of the server under a load, and how many items the load was."""
    found: list[Stack] = []
    faults: list[Exception] = []

    def watch() -> None:
        try:
            found.extend(_py_spy(lab.flux.worker.pid, seconds))
        except (OSError, CannotMeasure) as error:
            faults.append(error)

    watcher = threading.Timer(LEAD_SECONDS, watch)
    watcher.start()
    try:
        items = load(lab, seconds + 2 * LEAD_SECONDS)
    finally:
        watcher.join()
    if faults:
        raise CannotMeasure(str(faults[0]))
    return found, items


def _py_spy(pid: int, seconds: float) -> list[Stack]:
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "stacks.txt"
        command = [str(Path(sys.executable).parent / "py-spy"), "record"]
        command += ["--pid", str(pid), "--duration", f"{seconds:.0f}"]
        command += ["--threads", "--gil"]
        command += ["--rate", str(RATE), "--format", "raw", "--output", str(output)]
        done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
        if done.returncode:
            raise CannotMeasure(done.stderr)
        return [_stack(line) for line in output.read_text().splitlines()]


def _stack(line: str) -> Stack:
    frames, _, count = line.rpartition(" ")
    return frames.split(";"), int(count)


def summary(stacks: list[Stack], rounds: float) -> str:
    """Shares of all looks at the process: by thread, function, and what it called."""
    threads: Counter[str] = Counter()
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for (thread, *frames), count in stacks:
        threads[thread] += count
        names = [frame.rsplit(":", 1)[0] + ")" for frame in frames]
        if names:
            own[names[-1]] += count
        within.update(dict.fromkeys(names, count))
    lines = []
    for heading, counter in (
        ("Who held the interpreter's lock", threads),
        ("In the function itself", own),
        ("In it and what it called", within),
    ):
        lines += ["", heading]
        for name, count in counter.most_common(TOP):
            lines.append(f"{100 * count / rounds:6.1f} %  {name}")
    return "\n".join(lines[1:])
