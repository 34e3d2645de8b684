"""What JSON must be so that every client can store it and read it back (§0)."""

import json
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import exact
from events.exact import (
    InvalidJson,
    LoneSurrogate,
    NestedTooDeeply,
    NulCharacter,
    NumberOutOfRange,
)

FINE = [
    '"\\\\u0000"',
    '"\\\\\\\\u0000"',
    '"\\ud83d\\ude00"',
    '"\\uD83D\\uDE00 and \\ud83d\\ude00\\ud83d\\ude00"',
    '"\\\\ud800"',
    '"\\\\\\ud83d\\ude00"',
    '"\\uffff \\ue000 \\ud7ff"',
    "123456789012345678901234567890",
    "1.10",
    "-0",
    "18446744073709551616",
    "1" * 308,
    "0." + "1" * 399,
    "1e308",
    "1E+308",
    "1.7976931348623157e308",
    "-1e-308",
    "1e0000005",
    "0e0",
    "12e307",
    '"' + "9" * 500 + '"',
    '"1e999"',
    '"[" ',
]
REFUSED = [
    ('"\\u0000"', NulCharacter),
    ('"\\\\\\u0000"', NulCharacter),
    ('{"a\\u0000":1}', NulCharacter),
    ('"\\ud800"', LoneSurrogate),
    ('"\\udc00"', LoneSurrogate),
    ('"\\ude00\\ud83d"', LoneSurrogate),
    ('"\\ud83d \\ude00"', LoneSurrogate),
    ('"\\ud83d\\ud83d\\ude00"', LoneSurrogate),
    ('"\\ud83d\\ude00\\ude00"', LoneSurrogate),
    ('"\\ud83d\\n\\ude00"', LoneSurrogate),
    ('["\\ud83d","\\ude00"]', LoneSurrogate),
    ('{"\\ud800":1}', LoneSurrogate),
    ("1" * 401, NumberOutOfRange),
    ("0." + "1" * 400, NumberOutOfRange),
    ("1" * 310, NumberOutOfRange),
    ("1e309", NumberOutOfRange),
    ("1e-309", NumberOutOfRange),
    ("1E+309", NumberOutOfRange),
    ("1e00000309", NumberOutOfRange),
    ("1e999", NumberOutOfRange),
    ("0e999", NumberOutOfRange),
    ("1e" + "9" * 5_000, NumberOutOfRange),
    ("1.8e308", NumberOutOfRange),
    ("-1.8e308", NumberOutOfRange),
    ("100e307", NumberOutOfRange),
]


@pytest.mark.parametrize("text", FINE)
def test_what_every_client_can_read_passes(text: str) -> None:
    exact.check(text.encode())


@pytest.mark.parametrize(("text", "error"), REFUSED)
def test_what_some_client_cannot_read_is_refused(
    text: str, error: type[Exception]
) -> None:
    for surroundings in ("%s", '{"a": [%s, "x"]}', '{"a":"1",\n"b":%s}'):
        with pytest.raises(error):
            exact.check((surroundings % text).encode())


def test_the_number_of_digits_counts_and_not_that_of_characters() -> None:
    exact.check(b"-0." + b"1" * 399 + b"e-308")


DEEP = {
    "brackets": ("[", "]"),
    "braces": ('{"a":', "}"),
    "both": ('[{"a":', "}]"),
    "behind closed ones": ("[[],[", "]]"),
}


@pytest.mark.parametrize("kind", DEEP)
def test_64_levels_pass_and_65_do_not(kind: str) -> None:
    opening, closing = DEEP[kind]
    levels = opening.count("[") + opening.count("{") - opening.count("]")
    most = 64 // levels
    exact.check((opening * most + "1" + closing * most).encode())
    with pytest.raises(NestedTooDeeply):
        exact.check(("[" + opening * most + "1" + closing * most + "]").encode())


def test_brackets_within_strings_are_no_levels() -> None:
    exact.check(json.dumps([["[{" * 100, 'quote " then [' * 70]] * 40).encode())


def test_many_containers_side_by_side_are_not_deep() -> None:
    exact.check(json.dumps([{"a": [1]}] * 1_000).encode())


@pytest.mark.parametrize(
    "body", [b"\xff", b'{"a":"\xc3"}', b"\xed\xa0\x80", b"\xc0\x80"]
)
def test_what_is_not_utf8_is_refused_with_its_place(body: bytes) -> None:
    with pytest.raises(InvalidJson, match="byte at position"):
        exact.utf8(body)


def test_utf8_passes() -> None:
    exact.utf8("ä€😀".encode())


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def is_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        return False
    return True


def is_walked(text: str) -> bool:
    try:
        list(exact.elements(text.encode()))
    except InvalidJson:
        return False
    return True


@pytest.mark.parametrize(
    "text",
    [
        *[
            "",
            " ",
            "[1,]",
            "[,1]",
            "[,]",
            "[1 2]",
            "[1",
            "1]",
            "[}",
            "{]",
            "[]]",
            "[1}",
        ],
        *[
            '{"a":1,}',
            '{,"a":1}',
            '{"a"}',
            '{"a":}',
            '{"a" 1}',
            '{"a":1 "b":2}',
            "{1:2}",
        ],
        *[
            '{"a":1:2}',
            '{"a",1}',
            '["a":1]',
            '{"a":[1,]}',
            "{[]:1}",
            '{"a":1]',
            ":",
            ",",
        ],
        *["1 2", "01", "1.", ".5", "+1", "1e", "--1", "-", "0x1", "1_0", "truefalse"],
        *["nul", "True", '"', '"\\"', '"\\x"', '"\\u12"', '"\t"', "'a'", "//", "[1]x"],
        *["\u00a0[]", "[]\ufeff", "\x0b[]", "1,2", "[1],", '"a""b"'],
    ],
)
def test_the_walker_refuses_what_is_not_json(text: str) -> None:
    assert not is_json(text)
    assert not is_walked(text)


@pytest.mark.parametrize(
    "text",
    [
        *["[]", "{}", "[[]]", "[{}]", '{"":{}}', "0", "-0", "-1.5e-3", "1E5", "null"],
        *[
            " \t\r\n[ 1 , 2 ] ",
            '{ "a" : [ ] , "a" : { } }',
            '"\\u0041\\n\\/"',
            '"\x7f"',
        ],
        *["[true,false,null]", '["a","b"]', "[[[[[]]]]]", '[[],[[]],{"a":[[]]}]'],
    ],
)
def test_the_walker_takes_json(text: str) -> None:
    assert is_json(text)
    assert is_walked(text)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
symbols = st.sampled_from(
    list('[]{},:"\\/ \t\n\r\x001-+.0eEutfnrals')
) | st.sampled_from(
    ['"a"', '{"a":', "null", "true", "NaN", "1.5", "\\u0041", "[[", "]]"]
)


@settings(max_examples=80, deadline=None)
@given(st.lists(symbols, max_size=9).map("".join))
def test_the_walker_takes_what_json_takes(text: str) -> None:
    assert is_walked(text) == is_json(text)


@settings(max_examples=40, deadline=None)
@given(values, st.data())
def test_the_walker_agrees_on_mutated_texts(value: object, data: st.DataObject) -> None:
    text = json.dumps(value, ensure_ascii=data.draw(st.booleans()), indent=1)
    assert is_walked(text)
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 2))
    mutated = text[:at] + data.draw(st.just("") | symbols) + text[at + cut :]
    if not any(0xD800 <= ord(character) <= 0xDFFF for character in mutated):
        assert is_walked(mutated) == is_json(mutated)


@settings(max_examples=15, deadline=None)
@given(st.lists(values, max_size=4))
def test_the_walker_finds_each_member_of_a_list(members: list[object]) -> None:
    body = json.dumps(members, indent=2).encode()
    found = [
        body[start:end] for start, end, depth in exact.elements(body) if depth == 1
    ]
    assert [json.loads(text) for text in found] == members


def test_the_walker_gives_the_two_outermost_levels() -> None:
    body = b' {"a": [1, {"b": [2]}], "c" : "d"} '
    found = [(body[start:end], depth) for start, end, depth in exact.elements(body)]
    assert found == [
        (b'"a"', 1),
        (b"1", 2),
        (b'{"b": [2]}', 2),
        (b'[1, {"b": [2]}]', 1),
        (b'"c"', 1),
        (b'"d"', 1),
        (b'{"a": [1, {"b": [2]}], "c" : "d"}', 0),
    ]


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_the_walker_names_what_is_no_json_number(word: str) -> None:
    with pytest.raises(InvalidJson, match=f"{word} is no JSON number"):
        list(exact.elements(f"[1, {word}]".encode()))


def test_ten_mebibytes_of_brackets_are_refused_without_recursion() -> None:
    with pytest.raises(InvalidJson, match="ends too early"):
        list(exact.elements(b"[" * (10 << 20)))


@pytest.mark.parametrize(
    ("text", "exponents"),
    [
        (b'{"a":1,"b":[true,"text"]}', 0),
        (b'{"a":1e30}', 1),
        (b'{"a":1E+30,"b":[-2.5e-7]}', 2),
        (b'{"a":"5e7 is text, and counts all the same"}', 1),
        (b'{"a":1e999}', -1),
        (b'{"a":"\\u0041"}', -1),
        (b'{"a":' + b"1" * 200 + b"}", -1),
    ],
)
def test_a_glance_counts_exponents_or_asks_for_a_closer_look(
    text: bytes, exponents: int
) -> None:
    assert exact.glance(text) == exponents


def test_what_was_looked_at_closely_counts_its_exponents_too() -> None:
    assert exact.check(b'{"a":"\\u0041","b":1e5}') == 1
