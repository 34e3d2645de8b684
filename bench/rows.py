"""The rows of the table: what is measured, how it is checked, and its target.

The targets are those of the design; a row measures with the connections it names.
"""

import json
import statistics
from collections.abc import Callable, Mapping
from dataclasses import replace

from bench import listing, live, silence, tenants, traffic, transactions
from bench.measure import Figure, Lab, Spread, rate_figure
from bench.servers import CannotMeasure, Flux
from bench.traffic import Order

CONNECTIONS = 128
HISTORY_CONNECTIONS = 32
BATCH_CONNECTIONS = 4
# So that each of the 1,000 entities has more than a page of history.
HISTORY_EVENTS = 150_000
LIST_ENTITIES = 100_000
LIST_FLEET = "fleet"
LOAD_ROUNDS = 3


def post(lab: Lab) -> list[Figure]:
    """Single events, each in a request of its own."""
    pairs = lab.alternate(lab.order("publish", CONNECTIONS))
    what = f"single POST, {CONNECTIONS} connections, fsync on"
    return [rate_figure(pairs, name="post", what=what, unit="events/s", target=0.6)]


def latency(lab: Lab) -> list[Figure]:
    """One client that waits for each answer, against one transaction that waits."""
    order = lab.order("publish", 1)
    lab.take(order)
    commits, posts = [], []
    for _ in range(lab.pairs):
        commits.append(transactions.median_ms(lab.flux, lab.seconds))
        posts.append(lab.take(order).median_ms)
    ratios = [post / commit for post, commit in zip(posts, commits, strict=True)]
    return [
        Figure(
            name="latency",
            what="single POST, 1 connection: median latency",
            value=Spread.of(posts),
            unit="ms",
            relative=Spread.of(ratios),
            relative_unit="times one INSERT and COMMIT",
            target=1.5,
            is_upper_bound=True,
            notes=(f"INSERT and COMMIT {statistics.median(commits):.2f} ms",),
        )
    ]


def batch(lab: Lab) -> list[Figure]:
    """Events by the thousand."""
    pairs = lab.alternate(lab.order("batch", BATCH_CONNECTIONS))
    size = traffic.BATCH_EVENTS
    what = f"batches of {size:,}, {BATCH_CONNECTIONS} connections"
    return [
        rate_figure(
            pairs, name="batch", what=what, unit="events/s", target=2, per_answer=size
        )
    ]


def get(lab: Lab) -> list[Figure]:
    """Single entities, a thousand of them in turn."""
    fill(lab, lab.order("batch", BATCH_CONNECTIONS), events=traffic.BATCH_EVENTS)
    order = lab.order("get", CONNECTIONS)
    pairs = lab.alternate(order)
    for pair in pairs:
        _check_entities(lab.flux, pair.taken.bodies)
    what = f"GET one of {order.entities:,} entities, {CONNECTIONS} connections"
    return [rate_figure(pairs, name="get", what=what, unit="requests/s", target=1.2)]


def _check_entities(flux: Flux, bodies: Mapping[str, str]) -> None:
    with flux.connect() as connection:
        rows = connection.execute(
            "SELECT id, properties, version, seq FROM state_entity WHERE id = ANY(%s)",
            (list(bodies),),
        ).fetchall()
    stored = {row[0]: row[1:] for row in rows}
    for entity_id, body in bodies.items():
        said = json.loads(body)
        told = (said["properties"], said["version"], said["seq"])
        if said["id"] != entity_id or stored.get(entity_id) != told:
            message = f"{entity_id} is {stored.get(entity_id)}, but {body} was answered"
            raise CannotMeasure(message)


def history(lab: Lab) -> list[Figure]:
    """The newest hundred events of one entity, a thousand entities in turn."""
    fill(lab, lab.order("batch", BATCH_CONNECTIONS), events=HISTORY_EVENTS)
    pairs = lab.alternate(lab.order("history", HISTORY_CONNECTIONS))
    for pair in pairs:
        _check_histories(lab.flux, pair.taken.bodies)
    what = (
        f"history: {traffic.HISTORY_EVENTS} newest of one entity,"
        f" {lab.head():,} events, {HISTORY_CONNECTIONS} connections"
    )
    return [rate_figure(pairs, name="history", what=what, unit="pages/s", target=0.3)]


def _check_histories(flux: Flux, bodies: Mapping[str, str]) -> None:
    with flux.connect() as connection:
        for entity_id, body in bodies.items():
            rows = connection.execute(
                "SELECT seq, payload FROM events_event WHERE entity_id = %s"
                " ORDER BY seq DESC LIMIT %s",
                (entity_id, traffic.HISTORY_EVENTS),
            ).fetchall()
            stored = [(seq, json.loads(payload)) for seq, payload in rows]
            if [(item["seq"], item["payload"]) for item in json.loads(body)] != stored:
                message = f"not the newest events of {entity_id}: {body[:300]}"
                raise CannotMeasure(message)


def list_(lab: Lab) -> list[Figure]:
    """Every entity of a namespace in one answer."""
    fill_list(lab)
    downloads = [download(lab) for _ in range(lab.pairs + 1)][1:]  # one to warm up
    size = downloads[0].body_bytes
    what = f"list of {LIST_ENTITIES:,} entities ({size / LIST_ENTITIES:.0f} bytes each)"
    return [
        Figure(
            name="list",
            what=what,
            value=Spread.of(each.megabytes_per_second for each in downloads),
            unit="MB/s",
            target=80,
            notes=(f"{traffic.properties_bytes()} bytes of properties each",),
        ),
        Figure(
            name="list memory",
            what="the server's memory growth during such a list",
            value=Spread.of(each.growth_mib for each in downloads),
            unit="MiB",
            target=32,
            is_upper_bound=True,
        ),
    ]


def fill_list(lab: Lab) -> None:
    """The entities of the list, each by one event."""
    batch = lab.order("batch", BATCH_CONNECTIONS)
    order = replace(batch, entities=LIST_ENTITIES, fleet=LIST_FLEET)
    fill(lab, order, events=LIST_ENTITIES)


def download(lab: Lab) -> listing.Download:
    return listing.download(lab.flux, LIST_FLEET, expected=LIST_ENTITIES)


def memory(lab: Lab) -> list[Figure]:
    """One process: idle after its start, and whether it grows under steady load."""
    levels = []
    orders = [
        lab.order("publish", CONNECTIONS),
        lab.order("batch", BATCH_CONNECTIONS),
        lab.order("get", CONNECTIONS),
    ]
    for _ in range(LOAD_ROUNDS):
        for order in orders:
            lab.take(order)
        levels.append(lab.flux.memory_mib())
    idle = lab.idle_mib
    return [
        Figure(
            name="memory idle",
            what="memory of a server process, idle after its start",
            value=Spread(idle, idle, idle),
            unit="MiB",
            target=150,
            is_upper_bound=True,
        ),
        Figure(
            name="memory load",
            what=f"the same after {LOAD_ROUNDS} rounds of load",
            value=Spread.of(levels),
            unit="MiB",
            relative=Spread.of([levels[-1] / levels[0]]),
            relative_unit="times the first round",
            target=1.1,
            is_upper_bound=True,
            notes=(" → ".join(f"{level:.0f}" for level in (idle, *levels)) + " MiB",),
        ),
    ]


def fill(lab: Lab, order: Order, *, events: int) -> None:
    """So many more events of this order, unless its fleet has them already."""
    missing = events - lab.filled.get(order.fleet, 0)
    if missing > 0:
        requests = -(-missing // traffic.BATCH_EVENTS)
        lab.take(replace(order, most=requests, seconds=600.0))


ROWS: Mapping[str, Callable[[Lab], list[Figure]]] = {
    "post": post,
    "latency": latency,
    "batch": batch,
    "get": get,
    "list": list_,
    "history": history,
    "memory": memory,
    "auth": tenants.auth,
    "neighbour": tenants.neighbour,
    "frames": live.frames,
    "own": live.own,
    "delay": live.delay,
    "crowd": live.crowd,
    "silent": silence.silent,
}
