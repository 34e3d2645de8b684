"""Every message of a socket, and every stream, with every kind of token.

The kinds are those of tests/api/test_token_matrix.py, which has the routes. Invariant:
hearing needs no token and minds none; publishing needs one each time.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support import bearers
from tests.support.bearers import Kind, World
from tests.support.client import Api, event
from tests.support.live import Stream, handshake
from tests.support.servers import Server, wait_for
from tests.support.tenants import Operator, Registry, Speaker, Tenant, registry_of
from tests.support.view import Frame

# What is no text is no token.
NO_TEXTS: tuple[object, ...] = (5, True, [], ["x"], {"token": "x"}, "", "Bearer x")


@pytest.fixture(scope="module")
def world(auth_server: Server, auth_database: str) -> Iterator[World]:
    api = Api(auth_server.port)
    with registry_of(auth_database) as opened:
        made = bearers.world(api, opened)
        yield made
        log = auth_server.log.read_text()
        for secret in made.operator.secrets:
            assert secret[16:-6] not in log
    api.close()


@contextmanager
def speaking(world: World, header: str | None = None) -> Iterator[Speaker]:
    headers = {} if header is None else {"authorization": header}
    speaker = Speaker(world.api.port, **headers)
    try:
        yield speaker
        for text in speaker.heard:
            world.check(text.encode(), is_refused=True)
    finally:
        speaker.close()


def messages(kind: Kind) -> Iterator[tuple[str, Frame]]:
    """(scope, message) of each way to publish, in the kind's namespace."""
    live = event(kind.tenant.id("new"), {"x": 1})
    gone = event(kind.tenant.id("gone"), {"__deleted__": True})
    yield "publish", {"type": "publish", "event": live}
    yield "publish", {"type": "publish", "events": [live, live]}
    yield "delete", {"type": "publish", "event": gone}
    yield "delete", {"type": "publish", "events": [gone]}


def outcome(answer: Frame) -> tuple[str, set[object]]:
    """Its type, and the codes in it; None stands for what was stored."""
    if answer["type"] == "error":
        return "error", {answer["code"]}
    return answer["type"], {result.get("code") for result in answer["results"]}


def check(registry: Registry, speaker: Speaker, kind: Kind, *, token: object) -> None:
    """All that may be published is, and nothing else. token: the message's; `...`: it
    has none."""
    for scope, message in messages(kind):
        said = message if token is ... else message | {"token": token}
        before = registry.fingerprint()
        answer = speaker.ask(said)
        expected = kind.refusal(scope)
        if expected is None:
            assert outcome(answer) == ("published", {None}), (kind.name, said)
            continue
        status, code = expected
        kind_of_answer = "error" if status == 401 else "published"
        assert outcome(answer) == (kind_of_answer, {code}), (kind.name, said, answer)
        assert registry.fingerprint() == before, (kind.name, said)


def test_a_token_in_the_message_decides(world: World, registry: Registry) -> None:
    with speaking(world) as speaker:
        for kind in world.kinds:
            if kind.verdict != "none":
                check(registry, speaker, kind, token=kind.text)


def test_the_token_of_the_handshake_decides_where_the_message_has_none(
    world: World, registry: Registry
) -> None:
    for kind in world.kinds:
        with speaking(world, kind.header) as speaker:
            check(registry, speaker, kind, token=...)
            check(registry, speaker, kind, token=None)


def test_that_of_the_message_goes_before_that_of_the_handshake(
    world: World, registry: Registry
) -> None:
    right = world.home.header
    others = [kind for kind in world.kinds if kind.verdict != "none"]
    with speaking(world, right) as speaker:
        for kind in others:
            check(registry, speaker, kind, token=kind.text)
    good = next(kind for kind in world.kinds if kind.name == "right")
    for kind in others:
        with speaking(world, kind.header) as speaker:
            check(registry, speaker, good, token=good.text)


@pytest.mark.parametrize("token", NO_TEXTS, ids=repr)
def test_what_is_no_token_is_refused_though_the_handshake_has_one(
    world: World, registry: Registry, token: object
) -> None:
    good = next(kind for kind in world.kinds if kind.name == "right")
    with speaking(world, good.header) as speaker:
        for _, message in messages(good):
            before = registry.fingerprint()
            answer = speaker.ask(message | {"token": token})
            assert outcome(answer) == ("error", {"invalid_token"})
            assert registry.fingerprint() == before


def test_hearing_needs_no_token_and_minds_none(world: World) -> None:
    for kind in world.kinds:
        with speaking(world, kind.header) as speaker:
            for wanted in (
                {"entity_id": world.home.id("a")},
                {"prefix": world.home.id("a/")},
                {"namespace": world.home.name},
            ):
                for token in ({}, {"token": kind.text or "x"}):
                    answer = speaker.subscribe(**wanted, **token)
                    assert answer["type"] == "unsubscribed", kind.name


def test_a_stream_needs_no_token_and_minds_none(world: World) -> None:
    for kind in world.kinds:
        query = f"?entity_id={world.home.id('there')}&snapshot=1"
        stream = Stream(
            world.api.port, query, receive_bytes=None, view=None, **kind.headers
        ).listen()
        stream.next("snapshot_end")
        stream.close()


@pytest.mark.parametrize("query", ["?since=x", "?snapshot=5", "?entity_id="])
def test_a_wrong_handshake_is_as_wrong_with_any_token(world: World, query: str) -> None:
    for kind in world.kinds:
        answer = handshake(world.api.port, query, **kind.headers)
        assert answer.status == 400, kind.name
        world.check(answer.body, is_refused=True)


class TestOrder:
    """Where a message has several faults: the first of 401, 413, 400, 403, 429."""

    FAULTS: tuple[Frame, ...] = (
        {"type": "publish"},
        {"type": "publish", "event": {}, "events": []},
        {"type": "publish", "events": []},
        {"type": "publish", "events": {}},
        {"type": "publish", "event": "x"},
        {"type": "publish", "event": event("no-namespace")},
    )

    @pytest.mark.parametrize("message", FAULTS, ids=json.dumps)
    def test_401_goes_before_400(self, world: World, message: Frame) -> None:
        with speaking(world) as speaker:
            assert outcome(speaker.ask(message)) == ("error", {"token_required"})
            for token in ("x", world.told[-1], 5):
                answer = speaker.ask(message | {"token": token})
                assert outcome(answer) == ("error", {"invalid_token"})

    def test_401_goes_before_413(self, world: World) -> None:
        large = event(world.home.id("x"), {"x": "y" * (1 << 20)})
        message = {"type": "publish", "event": large}
        with speaking(world) as speaker:
            assert outcome(speaker.ask(message)) == ("error", {"token_required"})
            answer = speaker.ask(message | {"token": world.home.token})
            assert outcome(answer) == ("error", {"payload_too_large"})
            foreign = event(world.foreign.id("x"), {"x": "y" * (1 << 20)})
            message = {"type": "publish", "event": foreign}
            answer = speaker.ask(message | {"token": world.home.token})
            assert outcome(answer) == ("error", {"payload_too_large"})

    def test_each_event_has_its_own_first_error(self, world: World) -> None:
        events: list[Any] = [
            event(world.foreign.id("x")),
            event("x"),
            event("flux-core/x"),
            event(world.foreign.id("x")) | {"timestamp": "now"},
            event(world.home.id("x")),
        ]
        message = {"type": "publish", "token": world.home.token, "events": events}
        with speaking(world) as speaker:
            answer = speaker.ask(message)
        assert [result.get("code") for result in answer["results"]] == [
            "foreign_namespace",
            "invalid_entity_id",
            "reserved_namespace",
            "invalid_event",
            None,
        ]


class TestOpenSockets:
    """A socket stays open when its token ends; publishing on it does not."""

    @pytest.fixture
    def tenant(self, operator: Operator) -> Tenant:
        return operator.register()

    def _says(self, speaker: Speaker, tenant: Tenant) -> set[object]:
        message = {"type": "publish", "event": event(tenant.id("a"), {"x": 1})}
        _, codes = outcome(speaker.ask(message))
        return codes

    @pytest.mark.parametrize("how", ["revoke", "rotate", "delete"])
    def test_its_next_event_is_refused_at_once(
        self, operator: Operator, tenant: Tenant, registry: Registry, how: str
    ) -> None:
        made = operator.make(tenant)
        header = f"Bearer {made['token']}"
        speaker = Speaker(operator.api.port, authorization=header)
        assert self._says(speaker, tenant) == {None}
        if how == "delete":
            operator.delete(tenant)
        else:
            getattr(operator, how)(tenant, made["id"])
        before = registry.fingerprint()
        assert self._says(speaker, tenant) == {"invalid_token"}
        assert registry.fingerprint() == before
        assert speaker.subscribe(entity_id=tenant.id("a"))["type"] == "unsubscribed"
        speaker.close()

    def test_a_suspension_and_its_end_are_seen_too(
        self, operator: Operator, tenant: Tenant, registry: Registry
    ) -> None:
        speaker = Speaker(operator.api.port, authorization=tenant.header)
        assert self._says(speaker, tenant) == {None}
        registry.suspend(tenant.name)
        assert self._says(speaker, tenant) == {"namespace_suspended"}
        registry.resume(tenant.name)
        wait_for(
            lambda: self._says(speaker, tenant) == {None}, what="its end", seconds=10
        )
        speaker.close()

    def test_a_token_ends_by_itself(self, operator: Operator, tenant: Tenant) -> None:
        made = operator.make(tenant, expires_in_seconds=1)
        header = f"Bearer {made['token']}"
        speaker = Speaker(operator.api.port, authorization=header)
        wait_for(
            lambda: self._says(speaker, tenant) == {"invalid_token"},
            what="its end",
            seconds=10,
        )
        speaker.close()


@pytest.mark.parametrize("token", ["x", 5, None, "\ud800"], ids=repr)
def test_in_open_mode_a_token_is_ignored_whatever_it_says(
    server: Server, api: Api, token: object
) -> None:
    for header in ({}, {"authorization": "Bearer x"}, {"authorization": "\xff"}):
        speaker = Speaker(server.port, **header)
        message = {"type": "publish", "event": event(api.id("a")), "token": token}
        assert outcome(speaker.ask(message)) == ("published", {None})
        speaker.close()
