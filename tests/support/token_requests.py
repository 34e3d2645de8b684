"""What tests ask of an API with tokens, and in short how it was answered.

Invariant: whoever asks says with which token; nothing here adds one of its own, but
`ask` the namespace's.
"""

from tests.support.client import ADMIN_HEADER, Answer, event
from tests.support.tenants import Registry, Tenant, bearer

KEYS = {
    "id",
    "label",
    "scopes",
    "prefix",
    "createdAt",
    "expiresAt",
    "lastUsedAt",
    "revokedAt",
}
DAY_SECONDS = 86_400
LARGE_BATCH = b" " * (10 << 20) + b"x"
STRANGERS = {
    "nobody": None,
    "malformed": "Bearer flux_nothing",
    "unknown": "Bearer flux_k3v9x2m4q1_" + "0" * 49,
    "the admin's": ADMIN_HEADER,
}


def make(tenant: Tenant, header: str, **wanted: object) -> Answer:
    body = {"label": "made", **wanted}
    return tenant.api.post(f"{tenant.path}/tokens", body, authorization=header)


def rotate(tenant: Tenant, header: str, token_id: object, **wanted: object) -> Answer:
    path = f"{tenant.path}/tokens/{token_id}/rotate"
    return tenant.api.post(path, wanted, authorization=header)


def revoke(tenant: Tenant, header: str, token_id: object) -> Answer:
    path = f"{tenant.path}/tokens/{token_id}"
    return tenant.api.ask("DELETE", path, authorization=header)


def publish(tenant: Tenant, text: str, rest: str = "a") -> Answer:
    body = event(tenant.id(rest))
    return tenant.api.post("/api/events", body, authorization=bearer(text))


def works(tenant: Tenant, text: str) -> bool:
    answer = publish(tenant, text)
    assert answer.status in {200, 401}, answer
    return answer.status == 200


def found(answer: Answer) -> tuple[int, object]:
    return answer.status, answer.code


def spend_all(registry: Registry, tenant: Tenant) -> None:
    """The namespace has written all it may for an hour."""
    registry.do(
        "INSERT INTO namespaces_bucket (namespace, spent, at)"
        " VALUES (%s, 10000 * 1000000::bigint, now() + interval '1 hour')",
        tenant.name,
    )


def ask(tenant: Tenant, path: str, body: object, header: str | None = None) -> Answer:
    header = tenant.header if header is None else header
    return tenant.api.post(path, body, authorization=header)
