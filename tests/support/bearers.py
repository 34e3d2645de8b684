"""Every kind of token that somebody may come with, in a world of namespaces.

Made once a server, for the matrices of tests/api and tests/ws. Invariant: `MARKER`
stands in all that the foreign namespace holds and in no request, so where an answer has
it, that namespace's data leaked.
"""

from dataclasses import dataclass, field

from namespaces import tokens
from tests.support.client import ADMIN_HEADER, Api, event
from tests.support.servers import wait_for
from tests.support.tenants import (
    ALL_SCOPES,
    Operator,
    Registry,
    Tenant,
    bearer,
    fresh_name,
)

MARKER = "zq9marker"
UNUSABLE = "unusable"
PREFIX = "inside/"


@dataclass(frozen=True)
class Kind:
    """Who comes: what is said in the header (None: nothing), in which namespace it
    writes, and what it may.

    verdict: none (no token is seen), unusable, admin, foreign, suspended, bounded (by
    PREFIX), usable. scopes: those that it has.
    """

    name: str
    header: str | None
    verdict: str
    tenant: Tenant
    scopes: frozenset[str] = frozenset()

    @property
    def text(self) -> str | None:
        """The token by itself, as a message on a socket has it."""
        return None if self.header is None else self.header.partition(" ")[2].strip()

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.header is None else {"authorization": self.header}

    def refusal(self, scope: str, *, is_kept: bool = False) -> tuple[int, str] | None:
        """How a write that needs this scope is refused; None: it is not.

        Said here anew, and not by `namespaces.grants`. is_kept: for who has but to be
        of the namespace, suspended or not.
        """
        if self.verdict == "none":
            return 401, "token_required"
        if self.verdict in {UNUSABLE, "admin"}:
            return 401, "invalid_token"
        if self.verdict == "foreign":
            return 403, "foreign_namespace"
        if self.verdict == "bounded":
            return 403, "outside_prefix"
        if scope not in self.scopes:
            return 403, "missing_scope"
        if self.verdict == "suspended" and not is_kept:
            return 403, "namespace_suspended"
        return None


@dataclass
class World:
    """A server's namespaces, and everybody who may come."""

    operator: Operator
    home: Tenant
    foreign: Tenant
    kinds: list[Kind] = field(default_factory=list)
    # What no answer to a refused request may have in it.
    told: list[str] = field(default_factory=list)

    @property
    def api(self) -> Api:
        return self.operator.api

    def check(self, answer: bytes, *, is_refused: bool) -> None:
        """No secret is in an answer; nothing foreign in one to who was refused."""
        for secret in self.operator.secrets:
            assert secret[16:-6].encode() not in answer
        if is_refused:
            for text in self.told:
                assert text.encode() not in answer, text


def world(api: Api, registry: Registry) -> World:
    operator = Operator(api)
    home, foreign = operator.register(), operator.register()
    made = World(operator, home, foreign)
    _fill(foreign, operator)
    made.told = [MARKER, *(one["id"] for one in operator.tokens(foreign))]
    home.seq_of("there", {"x": 1})
    made.kinds = [
        *_unusable(operator, home, registry),
        *_usable(operator, home, foreign, registry),
    ]
    return made


def _fill(foreign: Tenant, operator: Operator) -> None:
    """Entities, a log and tokens; the marker is in each of them."""
    for rest in ("there", MARKER):
        body = event(
            foreign.id(rest),
            {MARKER: MARKER},
            stream=MARKER,
            source=MARKER,
            eventId=f"{MARKER} {rest}",
            key=MARKER,
        )
        answer = foreign.api.post("/api/events", body, authorization=foreign.header)
        assert answer.status == 200
    prefix = foreign.id(MARKER)
    operator.make(foreign, label=MARKER, scopes=list(ALL_SCOPES), prefix=prefix)


def _unusable(operator: Operator, home: Tenant, registry: Registry) -> list[Kind]:
    """Those that nobody takes for a token, or that are none any more."""
    good = home.token
    other = "0" if good[-1] != "0" else "1"
    own_id = tokens.id_of(good)
    kinds = [Kind("no token", None, "none", home)]
    for name, header in {
        "no scheme": good,
        "another scheme": f"Basic {good}",
        "the scheme alone": "Bearer",
        "an empty token": "Bearer   ",
    }.items():
        kinds.append(Kind(name, header, "none", home))
    for name, text in {
        "malformed": "flux_nothing",
        "of other characters": "flux_é\xff",
        "two tokens": f"{good} {good}",
        "a quoted token": f'"{good}"',
        "a long one": "x" * 8_000,
        "in capitals": good.upper(),
        "a wrong checksum": good[:-1] + other,
        "unknown": tokens.issue(tokens.new_id()).text,
        "a wrong secret": tokens.issue(own_id).text,
        "expired": _expired(operator, home, registry),
        "revoked": _revoked(operator, home),
        "rotated away": _rotated(operator, home),
    }.items():
        kinds.append(Kind(name, bearer(text), UNUSABLE, home))
    gone = operator.register()
    kinds.append(Kind("of a deleted namespace", gone.header, UNUSABLE, gone))
    operator.delete(gone)
    kinds.append(Kind("the admin's", ADMIN_HEADER, "admin", home))
    return kinds


def _expired(operator: Operator, home: Tenant, registry: Registry) -> str:
    made = operator.make(home, scopes=list(ALL_SCOPES), expires_in_seconds=1)
    text: str = made["token"]

    def is_over() -> bool:
        answer = home.api.post(
            "/api/events", event(home.id("x")), authorization=bearer(text)
        )
        return answer.status == 401

    wait_for(is_over, what="its expiry", seconds=10)
    return text


def _revoked(operator: Operator, home: Tenant) -> str:
    made = operator.make(home, scopes=list(ALL_SCOPES))
    operator.revoke(home, made["id"])
    text: str = made["token"]
    return text


def _rotated(operator: Operator, home: Tenant) -> str:
    made = operator.make(home, scopes=list(ALL_SCOPES))
    operator.rotate(home, made["id"])
    text: str = made["token"]
    return text


def _usable(
    operator: Operator, home: Tenant, foreign: Tenant, registry: Registry
) -> list[Kind]:
    """Those that are good for something."""
    every = frozenset(ALL_SCOPES)
    suspended = operator.register()
    suspended.seq_of("there", {"x": 1})
    kinds = [
        Kind("right", home.header, "usable", home, every),
        Kind(
            "in any case",
            home.header.replace("Bearer", "bEARER "),
            "usable",
            home,
            every,
        ),
        Kind("foreign", home.header, "foreign", foreign, every),
        Kind("of nobody's namespace", home.header, "foreign", _nobody(home), every),
        Kind("suspended", suspended.header, "suspended", suspended, every),
    ]
    registry.suspend(suspended.name)
    for scope in ALL_SCOPES:
        others = [one for one in ALL_SCOPES if one != scope]
        header = operator.header(home, scopes=others)
        kinds.append(
            Kind(f"without {scope}", header, "usable", home, frozenset(others))
        )
    header = operator.header(home, scopes=list(ALL_SCOPES), prefix=home.id(PREFIX))
    kinds.append(Kind("outside its prefix", header, "bounded", home, every))
    return kinds


def _nobody(home: Tenant) -> Tenant:
    """A namespace that was never registered."""
    return Tenant(fresh_name("nobody"), home.token, home.api)
