"""`GET /api/state/entities` (contract §3)."""

from urllib.parse import quote

import pytest

from tests.support.client import Api, event, next_page

PATH = "/api/state/entities"


def _fill(api: Api, names: list[str]) -> None:
    events = [event(api.id(name), {"n": name}) for name in names]
    assert api.post("/api/events/batch", events).json["failed"] == 0


def _ids(api: Api, query: str) -> list[str]:
    answer = api.get(f"{PATH}?{query}")
    assert answer.status == 200, answer.body
    return [found["id"] for found in answer.json]


def _names(api: Api, query: str) -> list[str]:
    return [found.removeprefix(api.space + "/") for found in _ids(api, query)]


def test_entities_come_in_the_order_of_their_ids_each_as_it_is_read_alone(
    api: Api,
) -> None:
    names = ["b", "B", "a", "a/b", "a-b", "ä", "😀", "~", "\uffff", "10", "9"]
    _fill(api, names)
    found = api.get(f"{PATH}?namespace={api.space}").json
    assert [one["id"] for one in found] == [api.id(name) for name in sorted(names)]
    assert found[0] == api.get(f"{PATH}/{found[0]['id']}").json


def test_a_namespace_is_meant_exactly(api: Api) -> None:
    for entity_id in (
        f"{api.space}/a",
        f"{api.space}/b/c",
        f"{api.space}x/a",
        f"{api.space}-/a",
        f"{api.space}",
        f"x/{api.space}/a",
    ):
        api.post("/api/events", event(entity_id))
    assert _ids(api, f"namespace={api.space}") == [
        f"{api.space}/a",
        f"{api.space}/b/c",
    ]


def test_default_holds_ids_without_a_slash_and_those_below_default(api: Api) -> None:
    plain, below = f"{api.space}-plain", f"default/{api.space}"
    for entity_id in (plain, below, api.id("a")):
        api.post("/api/events", event(entity_id))
    found = _ids(api, "namespace=default")
    assert {plain, below} <= set(found)
    assert api.id("a") not in found
    assert _ids(api, f"namespace=default&prefix={api.space}") == [plain]
    assert _ids(api, f"namespace=default&prefix=default/{api.space}") == [below]


@pytest.mark.parametrize(
    ("prefix", "matching"),
    [
        ("a", ["a", "a%b", "a_b", "ab"]),
        ("A", ["AB"]),
        ("a%", ["a%b"]),
        ("a_", ["a_b"]),
        ("%", []),
        ("_", []),
        ("\\", ["\\"]),
        ("é", ["é1"]),
        ("e", ["e\u03011"]),
        ("'", ["' or 1=1 --"]),
        ("ab", ["ab"]),
        ("abc", []),
        ("", ["' or 1=1 --", "AB", "\\", "a", "a%b", "a_b", "ab", "e\u03011", "é1"]),
    ],
)
def test_a_prefix_is_text_and_nothing_else(
    api: Api, prefix: str, matching: list[str]
) -> None:
    names = ["a", "ab", "AB", "a%b", "a_b", "\\", "é1", "e\u03011", "' or 1=1 --"]
    _fill(api, names)
    assert _names(api, f"prefix={quote(api.id(prefix))}") == matching


def test_namespace_and_prefix_together_mean_both(api: Api) -> None:
    _fill(api, ["a1", "a2", "b1"])
    both = f"namespace={api.space}&prefix={api.id('a')}"
    assert _names(api, both) == ["a1", "a2"]
    assert _ids(api, f"namespace={api.space}&prefix=other") == []
    assert _names(api, f"namespace={api.space}&prefix={api.space}") == [
        "a1",
        "a2",
        "b1",
    ]
    assert _ids(api, f"namespace={api.space}-&prefix={api.id('a')}") == []


@pytest.mark.parametrize("limit", [1, 3, 4, 7, 8, 10_000])
def test_pages_follow_each_other_without_hole_or_repetition(
    api: Api, limit: int
) -> None:
    names = [f"n{number}" for number in range(8)]
    _fill(api, names)
    path: str | None = f"{PATH}?namespace={api.space}&limit={limit}"
    found: list[str] = []
    pages = 0
    while path is not None:
        answer = api.get(path)
        assert len(answer.json) <= limit
        found += [one["id"] for one in answer.json]
        path = next_page(answer)
        pages += 1
    assert found == [api.id(name) for name in names]
    assert pages == -(-8 // limit)


def test_a_list_without_a_limit_has_no_next_page(api: Api) -> None:
    _fill(api, ["a", "b"])
    answer = api.get(f"{PATH}?namespace={api.space}")
    assert "link" not in answer.headers


def test_a_next_page_goes_on_behind_an_entity_that_is_gone(api: Api) -> None:
    _fill(api, ["a", "b", "c"])
    answer = api.get(f"{PATH}?namespace={api.space}&limit=2")
    following = next_page(answer)
    api.publish("b", __deleted__=True)
    api.publish("bb")
    assert following is not None
    assert [one["id"] for one in api.get(following).json] == [api.id("bb"), api.id("c")]


def test_a_long_list_is_streamed_whole(api: Api) -> None:
    names = [f"{number:05}" for number in range(2_500)]
    _fill(api, names)
    answer = api.get(f"{PATH}?namespace={api.space}")
    assert answer.headers["transfer-encoding"] == "chunked"
    assert [one["id"] for one in answer.json] == [api.id(name) for name in names]
    page = api.get(f"{PATH}?namespace={api.space}&limit=2499")
    assert len(page.json) == 2_499
    assert next_page(page) is not None


def test_large_entities_are_streamed_whole_too(api: Api) -> None:
    text = "x" * 700_000
    for name in ("a", "b", "c", "d"):
        api.publish(name, text=text)
    found = api.get(f"{PATH}?namespace={api.space}").json
    assert [len(one["properties"]["text"]) for one in found] == [700_000] * 4


@pytest.mark.parametrize("query", ["namespace=none-such", "prefix=none-such&limit=5"])
def test_what_matches_nothing_is_an_empty_list(api: Api, query: str) -> None:
    answer = api.get(f"{PATH}?{query}")
    assert (answer.status, answer.body) == (200, b"[]")


def test_unknown_parameters_are_ignored_and_the_last_of_two_counts(api: Api) -> None:
    _fill(api, ["a"])
    query = f"namespace=other&colour=red&namespace={api.space}"
    assert _names(api, query) == ["a"]
