"""`DELETE /api/state/entities/:id` and `POST /api/state/entities/delete` (§4)."""

from urllib.parse import quote

import pytest

from tests.support.client import Answer, Api, event

PATH = "/api/state/entities"


def _fill(api: Api, ids: list[str]) -> None:
    answer = api.post("/api/events/batch", [event(one, {"x": 1}) for one in ids])
    assert answer.json["failed"] == 0


def _delete(api: Api, **filters: object) -> Answer:
    return api.post(f"{PATH}/delete", filters)


def _left(api: Api) -> list[str]:
    found = api.get(f"{PATH}?prefix={api.space}").json
    return [one["id"].removeprefix(api.space) for one in found]


@pytest.mark.parametrize("name", ["a", "a/b c", "😀?#%"])
def test_deleting_an_entity_appends_a_tombstone(api: Api, name: str) -> None:
    seq = api.publish(name, x=1)
    answer = api.ask("DELETE", f"{PATH}/{quote(api.id(name), safe='')}")
    assert answer.status == 200
    assert set(answer.json) == {"entity_id", "eventId"}
    assert answer.json["entity_id"] == api.id(name)
    assert _left(api) == []
    assert api.head() == seq + 1
    newest = api.get(f"/api/events?entity={quote(api.id(name))}").json[0]
    assert newest["eventId"] == answer.json["eventId"]


def test_a_second_delete_finds_nothing_and_stores_nothing(api: Api) -> None:
    api.publish("a")
    assert api.ask("DELETE", f"{PATH}/{api.id('a')}").status == 200
    before = api.head()
    answer = api.ask("DELETE", f"{PATH}/{api.id('a')}")
    assert (answer.status, answer.code) == (404, "entity_not_found")
    assert api.head() == before


def test_a_namespace_is_deleted_and_no_other(api: Api) -> None:
    _fill(api, [api.id("a"), api.id("b/c"), f"{api.space}x/a", api.space])
    answer = _delete(api, namespace=api.space)
    assert answer.status == 200
    assert answer.json == {"deleted": 2, "failed": 0, "errors": []}
    assert _left(api) == ["", "x/a"]


def test_a_prefix_is_deleted_and_nothing_else(api: Api) -> None:
    _fill(api, [api.id(name) for name in ("a_1", "a_2", "ab", "A_1", "a")])
    assert _delete(api, prefix=api.id("a_")).json["deleted"] == 2
    assert _left(api) == ["/A_1", "/a", "/ab"]


def test_listed_ids_are_deleted_once_and_unknown_ones_are_reported(api: Api) -> None:
    _fill(api, [api.id("a"), api.id("b"), api.id("c")])
    before = api.head()
    ids = [api.id("a"), api.id("none"), api.id("b"), api.id("a"), api.id("none")]
    answer = _delete(api, entity_ids=ids)
    assert (answer.json["deleted"], answer.json["failed"]) == (2, 1)
    (error,) = answer.json["errors"]
    assert api.id("none") in error
    assert _left(api) == ["/c"]
    assert api.head() == before + 2


def test_what_matches_nothing_deletes_nothing(api: Api) -> None:
    before = api.head()
    nothing = {"deleted": 0, "failed": 0, "errors": []}
    assert _delete(api, namespace=api.space).json == nothing
    assert _delete(api, prefix=api.id("a")).json == nothing
    assert api.head() == before


def test_history_of_what_was_deleted_stays(api: Api) -> None:
    _fill(api, [api.id("a")])
    _delete(api, namespace=api.space)
    tombstone, first = api.get(f"/api/events?entity={api.id('a')}").json
    assert tombstone["payload"]["properties"] == {"__deleted__": True}
    assert first["payload"]["properties"] == {"x": 1}


def test_default_is_deleted_with_and_without_its_name(api: Api) -> None:
    plain, below = f"{api.space}-plain", f"default/{api.space}"
    _fill(api, [plain, below, api.id("a")])
    assert _delete(api, namespace="default").json["deleted"] >= 2
    assert api.get(f"{PATH}?namespace=default").json == []
    assert _left(api) == ["/a"]


def test_exactly_10_000_are_deleted_and_one_more_is_refused_whole(api: Api) -> None:
    for start in range(0, 10_000, 2_500):
        _fill(api, [api.id(f"{n:05}") for n in range(start, start + 2_500)])
    _fill(api, [api.id("one-more")])
    before = api.head()
    refused = _delete(api, namespace=api.space)
    assert refused.status == 400, refused.body
    assert api.head() == before
    assert len(_left(api)) == 10_001
    deleted = _delete(api, entity_ids=[api.id(f"{n:05}") for n in range(10_000)])
    assert deleted.json["deleted"] == 10_000
    assert _left(api) == ["/one-more"]


def test_unknown_fields_of_a_filter_are_ignored(api: Api) -> None:
    _fill(api, [api.id("a")])
    assert _delete(api, namespace=api.space, reason="tidy").json["deleted"] == 1


def test_a_prefix_of_everything_that_begins_alike_leaves_the_directory_alone(
    api: Api,
) -> None:
    _fill(api, [f"flux-corner-{api.space}"])
    assert _delete(api, prefix="flux-cor").json["deleted"] == 1
    assert api.get(f"{PATH}/flux-core/directory").status == 200
