"""The rows of auth mode: what a token and a rate limit cost who obeys them, and others.

Both modes are measured side by side, in turn, each on a Flux of its own.
"""

import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace

import httpx

from bench import measure, servers
from bench.crowding import Crowding, Quiet
from bench.measure import Figure, Lab, Spread
from bench.servers import CannotMeasure, Flux

CONNECTIONS = 128
FLEET = "bench"
CROWDED = "crowded"
# As much as a namespace may be allowed, so that nothing is refused.
MOST_A_MINUTE = 10_000_000
CROWD_LIMIT = 1_000
CROWD_WRITERS = 40
CROWD_WORKERS = 2
CROWD_TIMES = 2.0
CROWD_PHASES = 5
# Each of them stays within the limit.
QUIET_NAMESPACES = 8
QUIET_RATE = 100.0
SECONDS = 30.0


@contextmanager
def _flux(**settings: str) -> Iterator[Flux]:
    with servers.directory(None) as base, servers.flux(base, **settings) as running:
        yield running


def _admin(
    flux: Flux, method: str, path: str, body: dict[str, object]
) -> httpx.Response:
    answer = httpx.request(
        method,
        f"http://127.0.0.1:{flux.port}{path}",
        json=body,
        headers={"authorization": f"Bearer {flux.admin_token}"},
        timeout=SECONDS,
    )
    if answer.status_code != httpx.codes.OK:
        raise CannotMeasure(answer.text)
    return answer


def _register(flux: Flux, name: str) -> str:
    """A namespace's token."""
    answer = _admin(flux, "POST", "/api/namespaces", {"name": name})
    return str(answer.json()["token"])


def _limit(flux: Flux, a_minute: int) -> None:
    name = "rate_limit_per_namespace_per_minute"
    _admin(flux, "PUT", "/api/admin/config", {name: a_minute})


def auth(lab: Lab) -> list[Figure]:
    """Single events with a token and a rate limit, beside the same in open mode."""
    with ExitStack() as stack:
        open_mode = lab.beside(stack.enter_context(_flux()))
        auth_mode = lab.beside(stack.enter_context(_flux(FLUX_AUTH_ENABLED="true")))
        _limit(auth_mode.flux, MOST_A_MINUTE)
        token = _register(auth_mode.flux, FLEET)
        with_token = auth_mode.order("publish", CONNECTIONS, token=token)
        without = open_mode.order("publish", CONNECTIONS)
        for one, order in ((open_mode, without), (auth_mode, with_token)):
            one.take(replace(order, seconds=measure.WARM_UP_SECONDS))
        pairs = [
            (open_mode.pair(without), auth_mode.pair(with_token))
            for _ in range(lab.pairs)
        ]
    opened = [pair.taken.counted / pair.taken.seconds for pair, _ in pairs]
    guarded = [pair.taken.counted / pair.taken.seconds for _, pair in pairs]
    return [
        Figure(
            name="auth",
            what=f"single POST in auth mode, {CONNECTIONS} connections",
            value=Spread.of(guarded),
            unit="events/s",
            relative=Spread.of(
                one / other for one, other in zip(guarded, opened, strict=True)
            ),
            relative_unit="times open mode",
            target=0.9,
            notes=(
                measure.cost_note([pair for _, pair in pairs], 1),
                f"open mode {statistics.median(opened):,.0f} events/s",
                measure.cost_note([pair for pair, _ in pairs], 1),
            ),
        )
    ]


def neighbour(lab: Lab) -> list[Figure]:
    """A namespace's writes while another's writers are over its limit."""
    seconds = lab.seconds * CROWD_TIMES
    alone: list[Quiet] = []
    beside: list[Quiet] = []
    with _flux(FLUX_AUTH_ENABLED="true", FLUX_WORKERS=str(CROWD_WORKERS)) as flux:
        _limit(flux, CROWD_LIMIT)
        quiet = [f"quiet-{number}" for number in range(QUIET_NAMESPACES)]
        order = Crowding(
            port=flux.port,
            seconds=seconds,
            rate=QUIET_RATE,
            quiet=[(name, _register(flux, name)) for name in quiet],
            crowded=(CROWDED, _register(flux, CROWDED)),
            writers=0,
        )
        for _ in range(CROWD_PHASES):
            alone.append(_crowd(order))
            beside.append(_crowd(replace(order, writers=CROWD_WRITERS)))
    ratios = [b.p99_ms / a.p99_ms for a, b in zip(alone, beside, strict=True)]
    refused = sum(each.refused for each in beside)
    return [
        Figure(
            name="neighbour",
            what=f"POST at {QUIET_RATE:.0f}/s beside {CROWD_WRITERS} writers over their"
            f" namespace's limit, {CROWD_WORKERS} processes: p99",
            value=Spread.of(each.p99_ms for each in beside),
            unit="ms",
            relative=Spread.of(ratios),
            relative_unit="times without them",
            target=1.2,
            is_upper_bound=True,
            notes=(
                f"without them {statistics.median(q.p99_ms for q in alone):.2f} ms",
                f"{refused:,} refused",
            ),
        )
    ]


def _crowd(order: Crowding) -> Quiet:
    said = measure.in_process("bench.crowding", asdict(order), seconds=order.seconds)
    quiet = Quiet(**said)
    if quiet.faults:
        raise CannotMeasure("; ".join(quiet.faults))
    return quiet
