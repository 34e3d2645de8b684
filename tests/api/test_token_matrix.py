"""Every route, by every method, with every kind of token: the status, the code, what is
stored and what is told.

The list of routes comes from `flux_project.urls`: a new one fails this file until
`DECISIONS`, in tests/support/decisions.py, says who may use it.
`tests/ws/test_token_matrix.py` has the sockets.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLResolver

from flux_project import urls
from tests.support import bearers, decisions
from tests.support.bearers import Kind, World
from tests.support.client import ADMIN_HEADER, Answer, Api, Line, event, request
from tests.support.decisions import (
    DECISIONS,
    Admin,
    ClaimSecret,
    Form,
    Given,
    Login,
    Open,
    Session,
    Write,
    example_of,
)
from tests.support.servers import Server
from tests.support.tenants import Registry, registry_of

METHODS = ("GET", "POST", "PUT", "DELETE")


def routes() -> dict[str, Any]:
    """Every route there is, by how urls.py writes it, and its view."""
    patterns: list[Any] = urls.urlpatterns
    found = {str(one.pattern): one for one in patterns}
    return found | {path: None for _, path in urls.live_routes}


def methods_of(pattern: Any) -> set[str]:
    actions = getattr(getattr(pattern, "callback", None), "actions", None)
    if actions is None:
        return {"GET"}
    return {method.upper() for method in actions if method != "head"}


def test_every_route_and_method_has_a_decision() -> None:
    found = routes()
    assert found.keys() == DECISIONS.keys()
    for route, pattern in found.items():
        if isinstance(pattern, URLResolver) or "*" in DECISIONS[route]:
            assert DECISIONS[route] == {"*": Login()}
        elif pattern is not None:
            assert methods_of(pattern) == DECISIONS[route].keys(), route


@pytest.fixture(scope="module")
def world(auth_server: Server, auth_database: str) -> Iterator[World]:
    api = Api(auth_server.port)
    with registry_of(auth_database) as opened:
        made = bearers.world(api, opened)
        yield made
        _no_secret_was_logged(auth_server, made)
    api.close()


def _no_secret_was_logged(server: Server, world: World) -> None:
    """However much is logged: the servers of these tests log all there is."""
    log = server.log.read_text()
    assert "refused" in log
    for text in (*world.operator.secrets, ADMIN_HEADER.removeprefix("Bearer ")):
        assert text not in log
        assert text[16:-6] not in log


def _cases(*kinds: type) -> list[Any]:
    return [
        pytest.param(route, method, id=f"{method} {route.split('(')[0]}")
        for route, decided in DECISIONS.items()
        for method, decision in decided.items()
        if isinstance(decision, kinds)
    ]


@pytest.mark.parametrize(("route", "method"), _cases(tuple))
def test_a_write_is_refused_to_all_but_who_may(
    world: World, registry: Registry, route: str, method: str
) -> None:
    decision = DECISIONS[route][method]
    assert isinstance(decision, tuple)
    for write in decision:
        for kind in world.kinds:
            path, body = write.asks(world, kind)
            before = registry.fingerprint()
            answer = world.api.ask(method, path, body, **kind.headers)
            try:
                _check_write(world, write, kind, answer)
                if _expected(write, kind) is not None:
                    assert registry.fingerprint() == before, "it left a trace"
            except AssertionError as error:
                error.add_note(f"{kind.name}: {method} {path} {body} {answer}")
                raise


def _expected(write: Write, kind: Kind) -> tuple[int, str] | None:
    if write.also and kind.verdict == "admin":
        return None
    is_own = kind.verdict == "bounded" and write.asks is decisions.tokens
    return None if is_own else kind.refusal(write.scope, is_kept=write.is_kept)


def _check_write(world: World, write: Write, kind: Kind, answer: Answer) -> None:
    expected = _expected(write, kind)
    if expected is None:
        expected = _also_needed(write, kind)
    if expected is None:
        assert answer.status in {200, 201, 204}
        if answer.status == 200 and write.items:
            assert answer.json["failed"] == 0
        _take_what_was_made(world, answer)
        return
    status, code = expected
    if write.items and status == 403:
        results = answer.json["results"]
        assert (answer.status, answer.json["successful"]) == (200, 0)
        assert {result["code"] for result in results} == {code}
    else:
        assert (answer.status, answer.code) == expected
    challenge = answer.headers.get("www-authenticate")
    assert challenge == ("Bearer" if status == 401 else None)
    world.check(answer.body + repr(answer.headers).encode(), is_refused=True)


def _also_needed(write: Write, kind: Kind) -> tuple[int, str] | None:
    """What is made of a token has no scope that this has not."""
    makes = (
        write.asks in {decisions.new_token, decisions.rotation}
        and kind.verdict != "admin"
    )
    if makes and "connectors" not in kind.scopes:
        return 403, "missing_scope"
    return None


def _take_what_was_made(world: World, answer: Answer) -> None:
    """Its secret: this answer alone has it."""
    made = answer.json.get("token") if answer.body else None
    world.check(answer.body, is_refused=False)
    if made is not None:
        assert answer.body.count(made[16:-6].encode()) == 1
        world.operator.secrets.append(made)


@pytest.mark.parametrize(("route", "method"), _cases(Admin))
def test_what_the_operator_does_nobody_else_does(
    world: World, registry: Registry, route: str, method: str
) -> None:
    decision = DECISIONS[route][method]
    assert isinstance(decision, Admin)
    for kind in world.kinds:
        path, body = decision.asks(world, kind)
        before = registry.fingerprint()
        answer = world.api.ask(method, path, body, **kind.headers)
        if kind.verdict == "admin":
            assert answer.status in {200, 204}
            _take_what_was_made(world, answer)
            continue
        found = (answer.status, answer.code)
        assert found == (401, "admin_token_required"), kind.name
        assert answer.headers["www-authenticate"] == "Bearer"
        assert registry.fingerprint() == before
        world.check(answer.body, is_refused=True)


@pytest.mark.parametrize(("route", "method"), _cases(Open))
def test_reading_needs_no_token_and_minds_none(
    world: World, route: str, method: str
) -> None:
    decision = DECISIONS[route][method]
    assert isinstance(decision, Open)
    if decision.path is None:
        return  # a stream, which tests/ws has
    without = world.api.ask(method, decision.path)
    assert without.status in {200, 404, 426}
    for kind in world.kinds:
        answer = world.api.ask(method, decision.path, **kind.headers)
        assert answer.status == without.status, kind.name
        if answer.status >= 400:
            assert answer.body == without.body
        world.check(answer.body, is_refused=False)


@pytest.mark.parametrize(("route", "method"), _cases(Given))
def test_a_token_that_need_not_be_given_is_good_or_refused(
    world: World, route: str, method: str
) -> None:
    decision = DECISIONS[route][method]
    assert isinstance(decision, Given)
    for kind in world.kinds:
        answer = world.api.ask(method, decision.path, **kind.headers)
        is_unusable = kind.verdict in {"none", bearers.UNUSABLE, "admin"}
        if kind.header is not None and is_unusable:
            code = "token_required" if kind.verdict == "none" else "invalid_token"
            assert (answer.status, answer.code) == (401, code), kind.name
        else:
            assert answer.status == 200, kind.name
        world.check(answer.body, is_refused=True)


@pytest.mark.parametrize(("route", "method"), _cases(ClaimSecret))
def test_no_token_opens_a_purchase(world: World, route: str, method: str) -> None:
    decision = DECISIONS[route][method]
    assert isinstance(decision, ClaimSecret)
    for kind in world.kinds:
        answer = world.api.ask(method, decision.path, b"{", **kind.headers)
        found = (answer.status, answer.code)
        assert found == (401, "claim_secret_needed"), kind.name
        assert answer.headers["www-authenticate"] == "Bearer"
        world.check(answer.body, is_refused=True)


@pytest.mark.parametrize(("route", "method"), _cases(Form))
def test_a_form_needs_the_cookie_of_its_page_and_minds_no_token(
    world: World, registry: Registry, route: str, method: str
) -> None:
    decision = DECISIONS[route][method]
    assert isinstance(decision, Form)
    before = registry.fingerprint()
    for kind in world.kinds:
        answer = world.api.ask(method, decision.path, b"email=x", **kind.headers)
        assert answer.status == 403, kind.name
        assert b"Form expired" in answer.body
        world.check(answer.body, is_refused=True)
    assert registry.fingerprint() == before


@pytest.mark.parametrize(("route", "method"), _cases(Session))
def test_no_token_opens_an_account(world: World, route: str, method: str) -> None:
    decision = DECISIONS[route][method]
    assert isinstance(decision, Session)
    for kind in world.kinds:
        answer = world.api.ask(method, decision.path, **kind.headers)
        assert answer.status == decision.status, kind.name
        assert answer.headers.get("location") in {None, "/account"}
        world.check(answer.body, is_refused=True)


_OTHERS = [
    pytest.param(route, method, id=f"{method} {route.split('(')[0]}")
    for route, decided in DECISIONS.items()
    for method in METHODS
    if method not in decided and "*" not in decided
]


@pytest.mark.parametrize(("route", "method"), _OTHERS)
def test_a_wrong_method_goes_before_any_token(
    world: World, registry: Registry, route: str, method: str
) -> None:
    path = example_of(route)
    before = registry.fingerprint()
    for kind in world.kinds:
        answer = world.api.ask(method, path, b"{", **kind.headers)
        # A page's form is refused without its cookie, before anybody looks at it.
        expected = {405} if path.startswith("/api") else {403, 405}
        assert answer.status in expected, kind.name
        assert "www-authenticate" not in answer.headers
        world.check(answer.body, is_refused=True)
    assert registry.fingerprint() == before


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "path", ["/api/nowhere", "/api/namespaces/", "/api/namespaces/a/b", "/api/event"]
)
def test_an_unknown_address_goes_before_any_token(
    world: World, method: str, path: str
) -> None:
    for kind in world.kinds:
        answer = world.api.ask(method, path, b"{", **kind.headers)
        assert (answer.status, answer.code) == (404, "unknown_route"), kind.name


@pytest.mark.parametrize("route", [one for one in DECISIONS if one.startswith("api/")])
def test_what_may_be_asked_of_an_address_needs_no_token(
    world: World, route: str
) -> None:
    if route in {"api/schema", "api/docs"}:
        return  # no endpoints of ours
    for kind in world.kinds:
        answer = world.api.ask("OPTIONS", example_of(route), **kind.headers)
        assert answer.status == 204, kind.name


def test_a_foreign_namespace_and_one_that_is_not_there_are_answered_alike(
    world: World,
) -> None:
    kinds = {kind.name: kind for kind in world.kinds}
    foreign, nobody = kinds["foreign"], kinds["of nobody's namespace"]
    for decided in DECISIONS.values():
        for method, decision in decided.items():
            for write in decision if isinstance(decision, tuple) else ():
                answers = []
                for kind in (foreign, nobody):
                    path, body = write.asks(world, kind)
                    answer = world.api.ask(method, path, body, **kind.headers)
                    answers.append((answer.status, answer.body, answer.headers.keys()))
                assert answers[0] == answers[1], (method, write)


def test_what_a_foreign_namespace_holds_is_as_it_was(world: World) -> None:
    """After all of the above."""
    foreign = world.foreign
    entity = world.api.get(f"/api/state/entities/{foreign.id('there')}")
    assert entity.json["version"] == 1
    found = world.api.get(f"/api/state/entities?namespace={foreign.name}").json
    assert len(found) == 2
    for token in world.operator.tokens(foreign):
        assert token["revokedAt"] is None
        assert token["label"] in {"first token", bearers.MARKER, "x"}


def test_a_header_that_stands_twice_is_one_token_at_most(world: World) -> None:
    """Whichever of them counts: what one alone could not do, both cannot."""
    body = event(world.home.id("twice"), {"x": 1})
    for path, given in (("/api/events", body), ("/api/events/batch", [body])):
        for first, second in (("Bearer x", "Bearer y"), ("Basic x", "Bearer y")):
            line = Line(world.api.port)
            raw = request("POST", path, _json(given), authorization=first)
            more = f"\r\nauthorization: {second}\r\n\r\n".encode()
            line.send(raw.replace(b"\r\n\r\n", more, 1))
            assert line.answer().status == 401
            line.close()


def _json(given: object) -> bytes:
    return repr(given).replace("'", '"').encode()
