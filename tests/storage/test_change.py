"""A change of the registry through one process, and what another one writes then.

Invariant told here: once the change is answered, nothing that it forbids is committed
by anybody, however late a process hears of it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext

import pytest

from namespaces import registry
from tests.support import session
from tests.support.client import Answer, Api, event
from tests.support.pair import (
    WRITES,
    Pair,
    Write,
    batch,
    blind,
    deletion,
    deletions,
    held_up,
    is_refused,
    single,
)
from tests.support.servers import Server, wait_for
from tests.support.tenants import Speaker, Tenant, bearer, registry_of

StartServer = Callable[..., Server]
ROUNDS = 3
AFTERWARDS_SECONDS = 0.15


@pytest.fixture
def pair(database: None, start_auth: StartServer) -> Iterator[Pair]:
    with registry_of(session.DATABASE) as opened:
        opened.do(
            "UPDATE namespaces_runtimeconfig"
            " SET failed_tokens_per_address_per_minute = 1000000"
        )
        here = start_auth(database=session.DATABASE)
        there = start_auth(database=session.DATABASE)
        made = Pair(here, there, opened)
        yield made
        for api in made.apis:
            api.close()


ENDS = ["revoke", "rotate", "delete", "suspend"]


@pytest.mark.parametrize("kind", WRITES)
def test_what_is_being_committed_is_there_before_the_change_is_answered(
    pair: Pair, kind: str
) -> None:
    for how in ENDS:
        tenant = pair.tenant()
        with ThreadPoolExecutor(2) as threads:
            _answered_in_order(pair, tenant, how, WRITES[kind], threads)
        last = pair.written(tenant)
        assert is_refused(WRITES[kind](tenant, tenant.api, tenant.header))
        assert pair.written(tenant) == last


def _answered_in_order(
    pair: Pair, tenant: Tenant, how: str, write: Write, threads: ThreadPoolExecutor
) -> None:
    token_id = pair.operator.first_id(tenant)
    with held_up(pair, tenant):
        writing = threads.submit(write, tenant, tenant.api, tenant.header)
        wait_for(lambda: pair.waiting() == 1, what="the write to wait")
        ending = threads.submit(pair.end, how, tenant, token_id)
        wait_for(
            lambda: ending.done() or pair.waiting() == 2, what="the change to come"
        )
        _let_it_be_answered(ending)
        is_early = ending.done()
    assert writing.result().status == 200
    ending.result()
    assert not is_early, f"{how} was answered, and a write was yet to be there"


def _let_it_be_answered(ending: "Future[None]") -> None:
    """If it is to be, it will be now."""
    until = time.monotonic() + 0.2
    while time.monotonic() < until and not ending.done():
        time.sleep(0.02)


class Writers:
    """Clients that write without a pause, each in a way of its own, until the end."""

    def __init__(self, pair: Pair, tenant: Tenant, text: str) -> None:
        self.port, self.tenant = pair.there.port, tenant
        self.text, self.header = text, bearer(text)
        self.stored = 0
        self.refused = 0
        self._stop = threading.Event()
        self._faults: list[BaseException] = []
        works = [self._single, self._single, self._batch, self._delete, self._socket]
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,)) for work in works
        ]

    def __enter__(self) -> "Writers":
        for thread in self._threads:
            thread.start()
        wait_for(lambda: self.stored > 20 or self._faults, what="some events")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()
        assert not self._faults, self._faults

    def _guarded(self, work: Callable[[Api], None]) -> None:
        api = Api(self.port)
        try:
            work(api)
        except BaseException as fault:  # noqa: BLE001  told when all have ended
            self._faults.append(fault)
        finally:
            api.close()

    def _count(self, answer: Answer) -> None:
        if is_refused(answer):
            self.refused += 1
        else:
            assert answer.status in {200, 404}, answer
            self.stored += 1

    def _single(self, api: Api) -> None:
        while not self._stop.is_set():
            self._count(single(self.tenant, api, self.header))

    def _batch(self, api: Api) -> None:
        while not self._stop.is_set():
            self._count(batch(self.tenant, api, self.header))

    def _delete(self, api: Api) -> None:
        while not self._stop.is_set():
            self._count(deletion(self.tenant, api, self.header))
            self._count(deletions(self.tenant, api, self.header))

    def _socket(self, api: Api) -> None:
        speaker = Speaker(self.port)
        message = {"type": "publish", "token": self.text}
        try:
            while not self._stop.is_set():
                answer = speaker.ask(message | {"event": event(self.tenant.id("s"))})
                codes = {one.get("code") for one in answer.get("results", [answer])}
                assert codes <= {None, "invalid_token", "namespace_suspended"}, answer
                if codes == {None}:
                    self.stored += 1
                else:
                    self.refused += 1
        finally:
            speaker.close()


@pytest.mark.parametrize("is_blind", [False, True])
def test_after_the_answer_not_one_event_is_stored_by_anybody(
    pair: Pair,
    is_blind: bool,  # noqa: FBT001  a table's
) -> None:
    for number in range(ROUNDS):
        for how in ENDS:
            tenant = pair.tenant()
            made = pair.operator.make(tenant, scopes=["publish", "delete"])
            with Writers(pair, tenant, made["token"]) as writers:
                time.sleep(number * 0.007)
                with blind(pair) if is_blind else nullcontext():
                    last = _end_and_watch(pair, tenant, how, made["id"])
                _is_refused_now(writers)
            assert pair.written(tenant) == last, how


def _end_and_watch(pair: Pair, tenant: Tenant, how: str, token_id: str) -> int:
    """The seq of the last event that was there when the change was answered."""
    pair.end(how, tenant, token_id)
    last = pair.written(tenant)
    time.sleep(AFTERWARDS_SECONDS)
    assert pair.written(tenant) == last, how
    return last


def _is_refused_now(writers: Writers) -> None:
    before = writers.refused
    wait_for(lambda: writers.refused > before, what="refusals")


def test_all_else_is_refused_soon_too(pair: Pair) -> None:
    tenant = pair.tenant()
    made = pair.operator.make(tenant, scopes=["tokens"])

    def asked() -> tuple[int, object]:
        header = bearer(made["token"])
        answer = tenant.api.get(f"{tenant.path}/tokens", authorization=header)
        return answer.status, answer.code

    assert asked()[0] == 200
    pair.operator.revoke(tenant, made["id"])
    wait_for(lambda: asked() == (401, "invalid_token"), what="its end", seconds=10)


def test_a_change_of_which_nobody_was_told_is_found_by_looking(pair: Pair) -> None:
    tenant = pair.tenant()
    with pair.registry.connection.transaction():
        pair.registry.do(
            "UPDATE events_log SET registry_version = registry_version + 1"
        )
        pair.registry.do(
            "UPDATE namespaces_token SET revoked_at = now(),"
            " version = (SELECT registry_version FROM events_log)"
        )

    def asked() -> int:
        path = f"{tenant.path}/tokens"
        return tenant.api.get(path, authorization=tenant.header).status

    wait_for(lambda: asked() == 401, what="the look", seconds=10)


def test_a_process_that_hears_nothing_looks_before_it_says_yes(pair: Pair) -> None:
    tenant = pair.tenant()
    made = pair.operator.make(tenant, scopes=["tokens"])

    def asked() -> tuple[int, object]:
        header = bearer(made["token"])
        answer = tenant.api.get(f"{tenant.path}/tokens", authorization=header)
        return answer.status, answer.code

    with blind(pair):
        time.sleep(registry.CONFIRMED_SECONDS)
        assert asked()[0] == 200
        pair.operator.revoke(tenant, made["id"])
        wait_for(lambda: asked() == (401, "invalid_token"), what="its end", seconds=10)
