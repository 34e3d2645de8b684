"""Namespaces and tokens for tests of auth mode: made over the API, as an operator does.

Suspending is not in the API, so `Registry` says it to the database, as another process
would. Invariant: every secret that was ever handed out is in `secrets`, so that a test
can look for it where it must not be.
"""

import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from websockets.sync.client import connect

from tests.support import session
from tests.support.client import ADMIN_HEADER, SECONDS, Answer, Api, event

NAMESPACES = "/api/namespaces"
AUTH_DATABASE = "flux_auth"
ALL_SCOPES = ("publish", "delete", "connectors", "tokens")
_numbers = itertools.count(1)


def bearer(text: str) -> str:
    return f"Bearer {text}"


def fresh_name(stem: str = "tenant") -> str:
    """A namespace's name that no other test has."""
    return f"{stem}-{os.getpid() % 100_000}-{next(_numbers)}"


@dataclass
class Tenant:
    """A namespace and the token of its registration, as a client of one server."""

    name: str
    token: str
    api: Api

    @property
    def header(self) -> str:
        return bearer(self.token)

    @property
    def path(self) -> str:
        return f"{NAMESPACES}/{self.name}"

    def id(self, rest: str) -> str:
        return f"{self.name}/{rest}"

    def publish(self, rest: str, properties: object = None, **more: object) -> Answer:
        body = event(self.id(rest), properties, **more)
        return self.api.post("/api/events", body, authorization=self.header)

    def seq_of(self, rest: str, properties: object = None) -> int:
        """Publishes; the seq of what was stored."""
        answer = self.publish(rest, properties)
        assert answer.status == 200, answer
        seq: int = answer.json["seq"]
        return seq


@dataclass
class Operator:
    """Whoever has the admin token of a server."""

    api: Api
    secrets: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        return self.api.ask(method, path, body, authorization=ADMIN_HEADER)

    def register(self, name: str | None = None) -> Tenant:
        name = name or fresh_name()
        answer = self.ask("POST", NAMESPACES, {"name": name})
        assert answer.status == 200, answer
        return Tenant(name, self._kept(answer), self.api)

    def make(self, tenant: Tenant, **wanted: object) -> dict[str, Any]:
        """A token, as the answer that makes it shows it."""
        body = {"label": "a test's", **wanted}
        answer = self.ask("POST", f"{tenant.path}/tokens", body)
        assert answer.status == 201, answer
        self._kept(answer)
        made: dict[str, Any] = answer.json
        return made

    def header(self, tenant: Tenant, **wanted: object) -> str:
        """The Authorization header of a new token."""
        return bearer(self.make(tenant, **wanted)["token"])

    def rotate(self, tenant: Tenant, token_id: str, **wanted: object) -> str:
        """The new secret."""
        path = f"{tenant.path}/tokens/{token_id}/rotate"
        answer = self.ask("POST", path, wanted)
        assert answer.status == 200, answer
        return self._kept(answer)

    def revoke(self, tenant: Tenant, token_id: str) -> None:
        answer = self.ask("DELETE", f"{tenant.path}/tokens/{token_id}")
        assert answer.status == 204, answer

    def delete(self, tenant: Tenant) -> None:
        assert self.ask("DELETE", tenant.path).status == 204

    def tokens(self, tenant: Tenant) -> list[dict[str, Any]]:
        answer = self.ask("GET", f"{tenant.path}/tokens")
        assert answer.status == 200, answer
        found: list[dict[str, Any]] = answer.json["tokens"]
        return found

    def first_id(self, tenant: Tenant) -> str:
        """The id of the token of its registration."""
        found: str = self.tokens(tenant)[0]["id"]
        return found

    def _kept(self, answer: Answer) -> str:
        text: str = answer.json["token"]
        self.secrets.append(text)
        return text


class Speaker:
    """A WebSocket that hears of nothing: it says one thing at a time, and how that is
    answered."""

    def __init__(self, port: int, **headers: str) -> None:
        opening = connect(
            f"ws://127.0.0.1:{port}/api/ws?entity_id=nobody/nothing",
            compression=None,
            additional_headers=headers,
            proxy=None,
            ping_interval=None,
            open_timeout=SECONDS,
            close_timeout=5,
        )
        self.connection = opening.__enter__()  # it lives longer than a block does
        self.heard: list[str] = []

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """The answer to a message that publishes, or the error to any other."""
        ref = next(_numbers)
        self.connection.send(json.dumps(message | {"ref": ref}))
        return self._until(lambda frame: frame.get("ref") == ref)

    def subscribe(self, **wanted: str) -> dict[str, Any]:
        """The acknowledgement of a subscription that is made and ended again."""
        for kind in ("subscribe", "unsubscribe"):
            self.connection.send(json.dumps({"type": kind, **wanted}))
        return self._until(lambda frame: frame["type"] in {"unsubscribed", "error"})

    def _until(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            text = self.connection.recv(SECONDS)
            assert isinstance(text, str)
            self.heard.append(text)
            frame: dict[str, Any] = json.loads(text)
            if is_it(frame):
                return frame
        message = "no answer on the socket"
        raise TimeoutError(message)

    def close(self) -> None:
        self.connection.close()


class Registry:
    """What stands in the database of a server, and changes there by other hands."""

    def __init__(self, database: str) -> None:
        url = session.database_url(database)
        self.connection = psycopg.connect(url, autocommit=True)

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self.connection.execute(query.encode(), parameters).fetchall()

    def do(self, query: str, *parameters: object) -> None:
        self.connection.execute(query.encode(), parameters)

    def fingerprint(self) -> tuple[Any, ...]:
        """What differs as soon as anything is stored, but for the use of tokens."""
        (found,) = self.rows(
            "SELECT (SELECT coalesce(max(seq), 0) FROM events_event),"
            " (SELECT registry_version FROM events_log),"
            " (SELECT coalesce(max(id), 0) FROM namespaces_auditentry),"
            " (SELECT count(*) FROM namespaces_token),"
            " (SELECT count(*) FROM namespaces_secret),"
            " (SELECT coalesce(sum(spent), 0) FROM namespaces_bucket),"
            " (SELECT c::text FROM namespaces_runtimeconfig AS c)"
        )
        return found

    def suspend(self, name: str) -> None:
        self._suspend(name, "now()")

    def resume(self, name: str) -> None:
        self._suspend(name, "NULL")

    def _suspend(self, name: str, at: str) -> None:
        with self.connection.transaction():
            self.do("UPDATE events_log SET registry_version = registry_version + 1")
            self.do(
                f"UPDATE namespaces_namespace SET suspended_at = {at},"
                " version = (SELECT registry_version FROM events_log) WHERE name = %s",
                name,
            )
            self.do("SELECT pg_notify('flux_registry', '')")

    def audit(self, target: str) -> list[dict[str, Any]]:
        """The entries about a namespace and its tokens, the oldest first."""
        names = ("actor", "channel", "address", "action", "target", "before", "after")
        rows = self.rows(
            f"SELECT {', '.join(names)} FROM namespaces_auditentry"
            " WHERE target = %s OR target LIKE %s ORDER BY id",
            target,
            f"{target}/%",
        )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def close(self) -> None:
        self.connection.close()


@contextmanager
def registry_of(database: str) -> Iterator[Registry]:
    opened = Registry(database)
    try:
        yield opened
    finally:
        opened.close()
