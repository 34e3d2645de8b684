"""Two servers on one database: the registry is changed at the one, while clients write
at the other.

Invariant: nobody at the other server is told of a change but by the database.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connections

from namespaces import audit, tenancy
from tests.support import session
from tests.support.client import Answer, Api, event
from tests.support.servers import Server, wait_for
from tests.support.tenants import Operator, Registry, Tenant, registry_of

ACTOR = audit.Actor("a test", "command")


class Pair:
    """Two servers on one database: the operator is at one, writers at the other."""

    def __init__(self, here: Server, there: Server, registry: Registry) -> None:
        self.operator = Operator(Api(here.port))
        self.there = there
        self.registry = registry
        self.apis = [self.operator.api]

    def tenant(self) -> Tenant:
        """One that the other server knows, with an entity."""
        tenant = self.operator.register()
        self.apis.append(Api(self.there.port))
        there = Tenant(tenant.name, tenant.token, self.apis[-1])
        there.seq_of("there")
        return there

    def end(self, how: str, tenant: Tenant, token_id: str) -> None:
        """What is refused from then on; by another hand than the writers'."""
        if how == "revoke":
            self.operator.revoke(tenant, token_id)
        elif how == "rotate":
            self.operator.rotate(tenant, token_id)
        elif how == "delete":
            self.operator.delete(tenant)
        else:
            tenancy.suspend(tenant.name, ACTOR)
            connections.close_all()

    def written(self, tenant: Tenant) -> int:
        """The seq of the last event of a namespace, 0 without one."""
        query = "SELECT coalesce(max(seq), 0) FROM events_event WHERE namespace = %s"
        ((seq,),) = self.registry.rows(query, tenant.name)
        found: int = seq
        return found

    def waiting(self) -> int:
        """How many transactions wait for a lock."""
        query = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        ((count,),) = self.registry.rows(query)
        found: int = count
        return found


Write = Callable[[Tenant, Api, str], Answer]


def single(tenant: Tenant, api: Api, header: str) -> Answer:
    body = event(tenant.id("there"), {"x": 1})
    return api.post("/api/events", body, authorization=header)


def batch(tenant: Tenant, api: Api, header: str) -> Answer:
    body = [event(tenant.id("there"), {"x": 1})] * 3
    return api.post("/api/events/batch", body, authorization=header)


def deletion(tenant: Tenant, api: Api, header: str) -> Answer:
    path = f"/api/state/entities/{tenant.id('there')}"
    return api.ask("DELETE", path, authorization=header)


def deletions(tenant: Tenant, api: Api, header: str) -> Answer:
    body = {"namespace": tenant.name}
    return api.post("/api/state/entities/delete", body, authorization=header)


WRITES: dict[str, Write] = {
    "single": single,
    "batch": batch,
    "delete": deletion,
    "delete many": deletions,
}


@contextmanager
def held_up(pair: Pair, tenant: Tenant) -> Iterator[None]:
    """Who writes to the tenant's entity waits, in the midst of its transaction."""
    with registry_of(session.DATABASE) as other, other.connection.transaction():
        other.do(
            "SELECT FROM state_entity WHERE id = %s FOR UPDATE", tenant.id("there")
        )
        yield


@contextmanager
def blind(pair: Pair) -> Iterator[None]:
    """No process hears of a change by its registry's thread: it waits for the runtime
    config, which it reads first."""
    with registry_of(session.DATABASE) as other, other.connection.transaction():
        other.do("LOCK TABLE namespaces_runtimeconfig IN ACCESS EXCLUSIVE MODE")
        wait_for(lambda: pair.waiting() >= 2, what="both to wait")
        yield


def is_refused(answer: Answer) -> bool:
    """As one whose token has ended, or whose namespace is suspended."""
    if answer.status == 200:
        results = answer.json.get("results", ())
        codes = {result.get("code") for result in results}
        return codes in ({"invalid_token"}, {"namespace_suspended"})
    return (answer.status, answer.code) in {
        (401, "invalid_token"),
        (403, "namespace_suspended"),
    }
