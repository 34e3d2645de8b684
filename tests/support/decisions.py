"""Who may use which route by which method, and a request of each, for tests/api.

Invariant: `DECISIONS` was written down by hand, route by route, and not asked of the
code: a new route has none until somebody decides.
"""

from collections.abc import Callable
from dataclasses import dataclass

from flux_project import urls
from tests.support.bearers import Kind, World
from tests.support.client import event
from tests.support.tenants import NAMESPACES, fresh_name

CONFIG = "/api/admin/config"
Body = object
Asked = tuple[str, Body]


@dataclass(frozen=True)
class Open:
    """Anyone may, whatever the header says. path: None when a test asks elsewhere."""

    path: str | None


@dataclass(frozen=True)
class Write:
    """It needs a token with this scope. asks: the request of a kind, made anew each
    time; also: an operator may; is_kept: a suspended namespace may; items: what is
    forbidden fails alone."""

    scope: str
    asks: Callable[[World, Kind], Asked]
    also: bool = False
    is_kept: bool = False
    items: bool = False


@dataclass(frozen=True)
class Admin:
    """It needs the admin token."""

    asks: Callable[[World, Kind], Asked]


@dataclass(frozen=True)
class Given:
    """It needs no token, but one that is given must be good."""

    path: str


@dataclass(frozen=True)
class ClaimSecret:
    """It needs the claim secret of its purchase: no token will do, of any kind."""

    path: str


@dataclass(frozen=True)
class Form:
    """A page's: refused without the cookie that the page gave, and minds no token."""

    path: str


@dataclass(frozen=True)
class Session:
    """It is an owner's, who is signed in: no token will do. status: for all others."""

    path: str
    status: int = 303


@dataclass(frozen=True)
class Login:
    """The admin site's own: sessions and staff, no bearer token."""


def _single(world: World, kind: Kind) -> Asked:
    return "/api/events", event(kind.tenant.id("new"), {"x": 1})


def _tombstone(world: World, kind: Kind) -> Asked:
    properties = {"__deleted__": True}
    return "/api/events", event(kind.tenant.id("gone"), properties)


def _batch(world: World, kind: Kind) -> Asked:
    return "/api/events/batch", [event(kind.tenant.id("new"), {"x": 1})] * 2


def _tombstones(world: World, kind: Kind) -> Asked:
    gone = event(kind.tenant.id("gone"), {"__deleted__": True})
    return "/api/events/batch", {"events": [gone]}


def _entity(world: World, kind: Kind) -> Asked:
    _make_sure(world, kind)
    return f"/api/state/entities/{kind.tenant.id('there')}", None


def _by_ids(world: World, kind: Kind) -> Asked:
    _make_sure(world, kind)
    body = {"entity_ids": [kind.tenant.id("there")]}
    return "/api/state/entities/delete", body


def _by_prefix(world: World, kind: Kind) -> Asked:
    _make_sure(world, kind)
    body = {"prefix": kind.tenant.id("the")}
    return "/api/state/entities/delete", body


def _by_namespace(world: World, kind: Kind) -> Asked:
    _make_sure(world, kind)
    return "/api/state/entities/delete", {"namespace": kind.tenant.name}


def _make_sure(world: World, kind: Kind) -> None:
    """The entity is there, if it is the home's: the others' is never deleted."""
    if kind.tenant is world.home:
        world.home.seq_of("there", {"x": 1})


def tokens(world: World, kind: Kind) -> Asked:
    return f"{kind.tenant.path}/tokens", None


def new_token(world: World, kind: Kind) -> Asked:
    body = {"label": "made", "scopes": ["connectors"], "prefix": kind.tenant.id("o/")}
    return f"{kind.tenant.path}/tokens", body


def _token(world: World, kind: Kind) -> Asked:
    """One that is there, but of who has none to show."""
    return f"{kind.tenant.path}/tokens/{_spare(world, kind)}", None


def rotation(world: World, kind: Kind) -> Asked:
    return f"{kind.tenant.path}/tokens/{_spare(world, kind)}/rotate", {}


def _spare(world: World, kind: Kind) -> str:
    answer = world.operator.ask(
        "POST", f"{kind.tenant.path}/tokens", {"label": "x", "scopes": ["connectors"]}
    )
    if answer.status == 404:
        return "nobody"
    world.operator.secrets.append(answer.json["token"])
    found: str = answer.json["id"]
    return found


def _namespace(world: World, kind: Kind) -> Asked:
    return NAMESPACES, {"name": fresh_name("made")}


def _end_of_namespace(world: World, kind: Kind) -> Asked:
    return world.operator.register().path, None


def _config(world: World, kind: Kind) -> Asked:
    return CONFIG, {}


Decision = (
    Open | Given | Admin | ClaimSecret | Form | Session | Login | tuple[Write, ...]
)
_OWNED = "/account/namespaces/nobody-at-all"
_DELETES = tuple(Write("delete", asks) for asks in (_by_ids, _by_prefix, _by_namespace))


# By route, as urls.py writes it, and method. What is not here answers 405.
DECISIONS: dict[str, dict[str, Decision]] = {
    "": {"GET": Open("/")},
    "live": {"GET": Open("/live")},
    "register": {"GET": Open("/register"), "POST": Form("/register")},
    "register/checkout": {"GET": Open("/register/checkout?purchase=pur_1")},
    "register/done": {
        "GET": Open("/register/done?purchase=pur_1"),
        "POST": Form("/register/done"),
    },
    "register/demo/<purchase_id>": {
        "GET": Open("/register/demo/pur_1"),
        "POST": Form("/register/demo/pur_1"),
    },
    "account": {"GET": Open("/account")},
    "account/link": {"POST": Form("/account/link")},
    "account/link-sent": {"GET": Open("/account/link-sent")},
    "account/sign-in": {
        "GET": Session("/account/sign-in?token=x", status=400),  # by a link alone
        "POST": Form("/account/sign-in"),
    },
    "account/sign-out": {"POST": Form("/account/sign-out")},
    "account/receipts/<purchase_id>": {"GET": Session("/account/receipts/pur_1")},
    "account/namespaces/<name>": {"GET": Session(_OWNED)},
    "account/namespaces/<name>/delete": {
        "GET": Session(f"{_OWNED}/delete"),
        "POST": Form(f"{_OWNED}/delete"),
    },
    "account/namespaces/<name>/tokens/new": {
        "GET": Session(f"{_OWNED}/tokens/new"),
        "POST": Form(f"{_OWNED}/tokens/new"),
    },
    "account/namespaces/<name>/tokens/<token_id>/rotate": {
        "GET": Session(f"{_OWNED}/tokens/nobody/rotate"),
        "POST": Form(f"{_OWNED}/tokens/nobody/rotate"),
    },
    "account/namespaces/<name>/tokens/<token_id>/revoke": {
        "GET": Session(f"{_OWNED}/tokens/nobody/revoke"),
        "POST": Form(f"{_OWNED}/tokens/nobody/revoke"),
    },
    "flux.sh": {"GET": Open("/flux.sh")},
    "metrics": {"GET": Open("/metrics")},
    "admin/": {"*": Login()},
    "admin": {"*": Login()},
    "api/health": {"GET": Open("/api/health")},
    "api/events": {
        "GET": Open("/api/events?limit=1"),
        "POST": (Write("publish", _single), Write("delete", _tombstone)),
    },
    "api/events/batch": {
        "POST": (
            Write("publish", _batch, items=True),
            Write("delete", _tombstones, items=True),
        )
    },
    "api/state/entities": {"GET": Open("/api/state/entities?limit=1")},
    "api/state/entities/delete": {
        "GET": Open("/api/state/entities/delete"),
        "POST": _DELETES,
        "DELETE": (),  # an id without a namespace: see the errors' order
    },
    urls._ENTITY: {
        "GET": Open("/api/state/entities/nobody/x"),
        "DELETE": (Write("delete", _entity),),
    },
    "api/connectors": {"GET": Given("/api/connectors")},
    "api/admin/config": {"GET": Open(CONFIG), "PUT": Admin(_config)},
    "api/namespaces": {"POST": Admin(_namespace)},
    "api/namespaces/<name>": {
        "GET": Open(f"{NAMESPACES}/nobody-at-all"),
        "DELETE": Admin(_end_of_namespace),
    },
    "api/namespaces/<name>/tokens": {
        "GET": (Write("tokens", tokens, also=True, is_kept=True),),
        "POST": (Write("tokens", new_token, also=True),),
    },
    "api/namespaces/<name>/tokens/<token_id>": {
        "DELETE": (Write("tokens", _token, also=True, is_kept=True),)
    },
    "api/namespaces/<name>/tokens/<token_id>/rotate": {
        "POST": (Write("tokens", rotation, also=True),)
    },
    "api/purchases": {"POST": Open("/api/purchases")},  # nothing is for sale
    "api/purchases/<purchase_id>": {"GET": ClaimSecret("/api/purchases/pur_1")},
    "api/purchases/<purchase_id>/claim": {
        "POST": ClaimSecret("/api/purchases/pur_1/claim")
    },
    "api/billing/stripe/webhook": {"POST": Open("/api/billing/stripe/webhook")},
    "api/schema": {"GET": Open("/api/schema?format=json")},
    "api/docs": {"GET": Open("/api/docs")},
    "/api/stream": {"GET": Open(None)},
    "/api/ws": {"GET": Open("/api/ws")},
}
EXAMPLES = {
    "<purchase_id>": "pur_nobody",
    "<name>": "nobody-at-all",
    "<token_id>": "nobody",
}


def example_of(route: str) -> str:
    """An address of a route."""
    if route == urls._ENTITY:
        return "/api/state/entities/nobody/x"
    for name, example in EXAMPLES.items():
        route = route.replace(name, example)
    return route if route.startswith("/") else f"/{route}"
