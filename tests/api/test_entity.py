"""`GET /api/state/entities/:id` (contract §3)."""

import re
from urllib.parse import quote

import pytest

from tests.support.client import Api, event

PATH = "/api/state/entities/"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,6}Z"


def test_an_entity_has_its_five_fields_and_an_etag(api: Api) -> None:
    seq = api.publish("a", x=1)
    answer = api.entity("a")
    found = answer.json
    assert set(found) == {"id", "properties", "lastUpdated", "version", "seq"}
    assert (found["id"], found["properties"]) == (api.id("a"), {"x": 1})
    assert (found["version"], found["seq"]) == (1, seq)
    assert re.fullmatch(TIME, found["lastUpdated"])
    assert answer.headers["etag"] == f'"v1-{seq}"'


def test_a_missing_entity_is_a_404_in_the_words_that_clients_know(api: Api) -> None:
    answer = api.entity("none")
    assert answer.status == 404
    assert answer.json == {"error": "Entity not found", "code": "entity_not_found"}


@pytest.mark.parametrize(
    "name",
    ["a/b/c", "ä ö", "😀", "a+b", "100%", "a?b#c", "a;b=c,d", "..", "a//b", "a/", '"'],
)
def test_an_id_stands_in_a_path_as_it_is_or_encoded(api: Api, name: str) -> None:
    api.publish(name, x=1)
    for safe in ("/", ""):
        answer = api.get(PATH + quote(api.id(name), safe=safe))
        assert answer.json["id"] == api.id(name)


def test_an_id_called_delete_is_an_entity_like_any_other(api: Api) -> None:
    api.post("/api/events", event("delete", {"x": 1}))
    assert api.get(PATH + "delete").json["id"] == "delete"
    assert api.ask("DELETE", PATH + "delete").json["entity_id"] == "delete"
    assert api.get(PATH + "delete").status == 404


MATCHING = ["{}", "W/{}", '"x", {}', '{} , "x"', 'W/"x",W/{}', "*", '"x", *']
OTHERS = ['"x"', "v1", '"v1-0"', '"v0-{seq}"', "", "W/*x"]


@pytest.mark.parametrize("pattern", MATCHING)
def test_a_client_that_has_this_version_gets_304_without_a_body(
    api: Api, pattern: str
) -> None:
    api.publish("a", x=1)
    etag = api.entity("a").headers["etag"]
    answer = api.ask(
        "GET", PATH + api.id("a"), if_none_match=pattern.replace("{}", etag)
    )
    assert (answer.status, answer.headers["etag"]) == (304, etag)
    assert "content-length" not in answer.headers


@pytest.mark.parametrize("tag", OTHERS)
def test_a_client_that_has_another_version_gets_this_one(api: Api, tag: str) -> None:
    seq = api.publish("a", x=1)
    answer = api.ask(
        "GET", PATH + api.id("a"), if_none_match=tag.replace("{seq}", str(seq))
    )
    assert (answer.status, answer.json["seq"]) == (200, seq)


def test_each_change_gives_another_etag_also_to_an_entity_made_again(api: Api) -> None:
    tags = set()
    for deleted in (False, False, True, False):
        api.publish("a", **({"__deleted__": True} if deleted else {"x": 1}))
        tags.add(api.entity("a").headers.get("etag"))
    assert len(tags) == 4


def test_if_none_match_does_not_hide_a_missing_entity(api: Api) -> None:
    answer = api.ask("GET", PATH + api.id("none"), if_none_match="*")
    assert answer.status == 404


def test_head_answers_like_get_without_the_body(api: Api) -> None:
    seq = api.publish("a", x=1)
    answer = api.ask("HEAD", PATH + api.id("a"))
    assert (answer.status, answer.headers["etag"]) == (200, f'"v1-{seq}"')
