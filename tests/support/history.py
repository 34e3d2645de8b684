"""The log as `GET /api/events` tells it, and the state as the list does."""

from tests.support import exactly
from tests.support.account import DIRECTORY, Said
from tests.support.client import Api, next_page
from tests.support.view import Values


def history(api: Api, *, after: int) -> dict[int, Said]:
    """What each event behind this seq was about, in the order of the log."""
    found: dict[int, Said] = {}
    path: str | None = "/api/events?limit=500"
    while path is not None:
        answer = api.get(path)
        assert answer.status == 200, answer
        for one in answer.json:
            payload = one["payload"]
            is_tombstone = payload["properties"].get("__deleted__") is True
            found[one["seq"]] = Said(payload["entity_id"], is_tombstone)
        is_enough = any(one["seq"] <= after for one in answer.json)
        path = None if is_enough else next_page(answer)
    return {seq: found[seq] for seq in sorted(found) if seq > after}


def state(api: Api, query: str = "") -> dict[str, Values]:
    """The properties of every entity that the query selects, the directory apart."""
    answer = api.get(f"/api/state/entities?{query}")
    assert answer.status == 200, answer
    return {
        one["id"]: one["properties"]
        for one in exactly.loads(answer.body)
        if one["id"] != DIRECTORY
    }
