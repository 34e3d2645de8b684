"""A namespace of an auth-mode server and its token, for tests that write with one."""

import json
from dataclasses import dataclass

from tests.support.client import ADMIN_HEADER, Answer, Api, event


@dataclass(frozen=True)
class Tenant:
    """What a registration gave."""

    name: str
    token: str

    @property
    def header(self) -> str:
        return f"Bearer {self.token}"

    def publish(self, api: Api, name: str, **properties: object) -> Answer:
        """Publishes an event about an entity of this namespace."""
        told = event(f"{self.name}/{name}", properties)
        return api.post("/api/events", told, authorization=self.header)


def register(api: Api, name: str) -> Tenant:
    """A new namespace, by the admin token."""
    answer = api.post("/api/namespaces", {"name": name}, authorization=ADMIN_HEADER)
    assert answer.status == 200, answer.body
    return Tenant(name, str(json.loads(answer.body)["token"]))


def configure(api: Api, **values: object) -> None:
    """Changes the runtime config."""
    answer = api.ask("PUT", "/api/admin/config", values, authorization=ADMIN_HEADER)
    assert answer.status == 200, answer.body
