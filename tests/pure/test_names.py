"""The rules of entity ids (contract §0), each clause."""

import pytest

from namespaces import names
from namespaces.names import InvalidEntityId, ReservedNamespace

VALID = [
    "a",
    "a/b",
    "a/b/c",
    "a//b",
    "a/",
    "a/.",
    "a/..",
    "...",
    "Größe/Straße 5",
    "😀",
    'quote " and \\ and %2F',
    " ",
    "\u00a0",
    "\u2028",
    "x" * 512,
    "ü" * 512,
    "😀" * 512,
]
INVALID = [
    ("", "must not be empty"),
    ("x" * 513, "at most 512 characters, not 513"),
    ("ü" * 513, "at most 512 characters, not 513"),
    ("/x", "must not begin with a slash"),
    ("/", "must not begin with a slash"),
    (".", "must not be . or .."),
    ("..", "must not be . or .."),
    *[
        (f"a{chr(code)}b", "control characters")
        for code in (*range(0x20), *range(0x7F, 0xA0))
    ],
    ("ü\n", "control characters"),
]


@pytest.mark.parametrize("text", VALID)
def test_a_valid_id_is_itself(text: str) -> None:
    assert names.entity_id(text) == text


@pytest.mark.parametrize(("text", "reason"), INVALID)
def test_an_invalid_id_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidEntityId, match=f"^the.place .*{reason}") as caught:
        names.entity_id(text, field="the.place")
    assert caught.value.field == "the.place"
    assert (caught.value.status, caught.value.code) == (400, "invalid_entity_id")


@pytest.mark.parametrize(
    ("text", "namespace"),
    [
        ("a/b", "a"),
        ("a/b/c", "a"),
        ("a/", "a"),
        ("a", "default"),
        ("default/x", "default"),
        ("default", "default"),
        ("ü b/c", "ü b"),
    ],
)
def test_the_namespace_is_the_text_before_the_first_slash(
    text: str, namespace: str
) -> None:
    assert names.namespace_of(text) == namespace


def test_nobody_writes_to_the_servers_own_namespace() -> None:
    names.refuse_reserved("flux-core2")
    with pytest.raises(ReservedNamespace) as caught:
        names.refuse_reserved("flux-core")
    assert caught.value.status == 403
