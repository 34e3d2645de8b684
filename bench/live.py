"""The rows of the live feed: how many frames, and how old they are.

Whatever is measured, every listener was told each event that it asked for once and in
order (bench.listening), and the log grew by what was acknowledged alone.
"""

import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from bench import measure, transactions
from bench.measure import Figure, Lab, Spread
from bench.plan import Heard, Plan
from bench.servers import CannotMeasure, Cpu

ONE = "live/one"
OWN = "live/own-%d"
LISTENERS_ON_ONE = 200
LISTENERS_ON_OWN = 100
BATCH_EVENTS = 100
# So many batches under way that neither server nor client waits for the other to begin.
ONE_WINDOW = 4
OWN_WINDOW = 8
DELAY_RATE = 200.0
DELAY_WINDOW = 4
# A thousand: a quarter of them on one entity, half each on its own.
CROWD = [
    (250, f"?entity_id={ONE}"),
    (500, f"?entity_id={OWN}"),
    (150, "?prefix=live/own-1"),
    (100, "?namespace=live"),
]
CROWD_OWN = 500
CROWD_RATE = 100.0
CROWD_WINDOW = 8
# Delays are rarer than frames. The phases are short, so that what else the machine does
# falls into both kinds alike.
CROWD_TIMES = 4.0
CROWD_PHASES = 6


@dataclass(frozen=True, slots=True)
class Run:
    """What was heard, R just before, and the processor time it took."""

    r: float
    heard: Heard
    cpu: Cpu


def hear(lab: Lab, plan: Plan) -> Heard:
    """One run of a plan, checked."""
    before = lab.head()
    said = measure.in_process("bench.listening", asdict(plan), seconds=plan.seconds)
    heard = Heard(**said)
    if heard.faults:
        raise CannotMeasure("; ".join(heard.faults))
    grown = (before + 1, before + heard.events, lab.head())
    if grown != (heard.first_seq, heard.last_seq, heard.last_seq):
        message = f"{heard} was acknowledged, and the log grew to {grown}"
        raise CannotMeasure(message)
    return heard


def alternate(lab: Lab, plan: Plan) -> list[Run]:
    """R, the plan, R, the plan … after a short run that warms both."""
    hear(lab, replace(plan, seconds=min(measure.WARM_UP_SECONDS, plan.seconds)))
    return [_run(lab, plan) for _ in range(lab.pairs)]


def _run(lab: Lab, plan: Plan) -> Run:
    r = lab.measure_r()
    before = lab.flux.clock()
    heard = hear(lab, plan)
    return Run(r, heard, lab.flux.clock().since(before))


def plan_of_frames(lab: Lab, *, seconds: float) -> Plan:
    """Everybody listens to one entity."""
    return Plan(
        port=lab.flux.port,
        groups=[(LISTENERS_ON_ONE, f"?entity_id={ONE}")],
        about=[ONE],
        batch=BATCH_EVENTS,
        window=ONE_WINDOW,
        seconds=seconds,
    )


def plan_of_own(lab: Lab, *, seconds: float) -> Plan:
    """Everybody listens to an entity that nobody else listens to."""
    return Plan(
        port=lab.flux.port,
        groups=[(LISTENERS_ON_OWN, f"?entity_id={OWN}")],
        about=[OWN % number for number in range(LISTENERS_ON_OWN)],
        batch=BATCH_EVENTS,
        window=OWN_WINDOW,
        seconds=seconds,
    )


def frames(lab: Lab) -> list[Figure]:
    """As many frames as possible to listeners with one interest."""
    runs = alternate(lab, plan_of_frames(lab, seconds=lab.seconds))
    what = f"{LISTENERS_ON_ONE} WebSockets on one entity, batches of {BATCH_EVENTS}"
    return [_rate(runs, name="frames", what=what, target=30)]


def own(lab: Lab) -> list[Figure]:
    """The same where nobody shares: each frame is a write of its own."""
    runs = alternate(lab, plan_of_own(lab, seconds=lab.seconds))
    what = f"{LISTENERS_ON_OWN} WebSockets, each on its own entity, such batches"
    return [_rate(runs, name="own", what=what, target=None)]


def _rate(runs: list[Run], *, name: str, what: str, target: float | None) -> Figure:
    rates = [run.heard.frames / run.heard.seconds for run in runs]
    return Figure(
        name=name,
        what=what,
        value=Spread.of(rates),
        unit="frames/s",
        relative=Spread.of(rate / run.r for rate, run in zip(rates, runs, strict=True)),
        relative_unit="R",
        target=target,
        notes=(_cost(runs), _events(runs)),
    )


def _cost(runs: list[Run]) -> str:
    frames = sum(run.heard.frames for run in runs)

    def micros(seconds: Iterable[float]) -> str:
        return f"{sum(seconds) / frames * 1e6:.2f} µs"

    return (
        f"CPU each: server {micros(run.cpu.server for run in runs)}, "
        f"PostgreSQL {micros(run.cpu.postgres for run in runs)}, "
        f"client {micros(run.heard.client_cpu_seconds for run in runs)}"
    )


def _events(runs: list[Run]) -> str:
    rate = statistics.median(run.heard.events / run.heard.seconds for run in runs)
    return f"{rate:,.0f} events/s"


def delay(lab: Lab) -> list[Figure]:
    """From sending an event to reading its frame, against a transaction that waits."""
    plan = Plan(
        port=lab.flux.port,
        groups=[(1, f"?entity_id={ONE}")],
        about=[ONE],
        batch=1,
        window=DELAY_WINDOW,
        seconds=lab.seconds,
        rate=DELAY_RATE,
    )
    hear(lab, plan)
    commits, tails, heard = [], [], []
    for _ in range(lab.pairs):
        commits.append(transactions.median_ms(lab.flux, lab.seconds))
        tails.append(transactions.p99_ms(lab.flux, lab.seconds, rate=DELAY_RATE))
        heard.append(hear(lab, plan))
    ratios = [each.p99_ms / commit for each, commit in zip(heard, commits, strict=True)]
    median = statistics.median(each.median_ms for each in heard)
    answered = statistics.median(each.answered_p99_ms for each in heard)
    return [
        Figure(
            name="delay",
            what=f"publish → frame at {DELAY_RATE:.0f} events/s: 99th percentile",
            value=Spread.of(each.p99_ms for each in heard),
            unit="ms",
            relative=Spread.of(ratios),
            relative_unit="times one INSERT and COMMIT",
            target=10,
            is_upper_bound=True,
            notes=(
                f"INSERT and COMMIT {statistics.median(commits):.2f} ms,"
                f" at this rate p99 {statistics.median(tails):.2f} ms",
                f"median {median:.2f} ms; publish → answer: p99 {answered:.2f} ms",
            ),
        )
    ]


def crowd(lab: Lab) -> list[Figure]:
    """Whether three listeners in trouble disturb a thousand others."""
    ids = [OWN % number for number in range(CROWD_OWN)]
    plan = Plan(
        port=lab.flux.port,
        groups=CROWD,
        # One event in four is about the entity that most listen to.
        about=[
            one for at in range(0, CROWD_OWN, 3) for one in (ONE, *ids[at : at + 3])
        ],
        batch=1,
        window=CROWD_WINDOW,
        seconds=lab.seconds * CROWD_TIMES,
        rate=CROWD_RATE,
        phases=CROWD_PHASES,
    )
    heard = [hear(lab, plan) for _ in range(lab.pairs)]
    alone = Spread.of(each.p99_ms for each in heard)
    rate = statistics.median(each.frames / each.seconds for each in heard)
    medians = [
        statistics.median(each.median_ms for each in heard),
        statistics.median(each.beside_median_ms for each in heard),
    ]
    return [
        Figure(
            name="crowd",
            what=(
                f"publish → frame, {len(plan.queries):,} WebSockets, {rate:,.0f}"
                " frames/s, beside a slow, a deaf and a vanished one: 99th percentile"
            ),
            value=Spread.of(each.beside_p99_ms for each in heard),
            unit="ms",
            relative=Spread.of(each.beside_p99_ms / each.p99_ms for each in heard),
            relative_unit="times the same without these",
            target=1.2,
            is_upper_bound=True,
            notes=(
                f"{alone.median:.1f} ({alone.low:.1f}-{alone.high:.1f}) ms without,"
                f" median {medians[0]:.1f} ms without, {medians[1]:.1f} ms beside",
            ),
        )
    ]
