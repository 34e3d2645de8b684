"""A token's text: what it is made of, and what is known of it afterwards."""

import hashlib
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namespaces import tokens

# What a secret scanner is told to look for (contract §6).
SCANNED = re.compile(r"\bflux_[0-9a-z]{10}_[0-9A-Za-z]{49}\b")
BASE_62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _number(text: str) -> int:
    found = 0
    for character in text:
        found = found * 62 + BASE_62.index(character)
    return found


def test_a_token_is_its_mark_an_id_a_secret_and_a_checksum() -> None:
    made = tokens.issue("k3v9x2m4q1")
    assert made.text.startswith("flux_k3v9x2m4q1_")
    assert len(made.text) == len("flux_") + 10 + 1 + 43 + 6
    assert tokens.is_well_formed(made.text)
    assert tokens.id_of(made.text) == "k3v9x2m4q1"
    assert made.digest == hashlib.sha256(made.text.encode()).digest()


def test_the_checksum_is_crc_32_of_all_before_it_in_base_62() -> None:
    text = tokens.issue(tokens.new_id()).text
    assert _number(text[-6:]) == zlib.crc32(text[:-6].encode())


def test_a_scanner_finds_it_in_any_text() -> None:
    for _ in range(200):
        text = tokens.issue(tokens.new_id()).text
        for around in (
            "{}",
            'token="{}"',
            "curl -H 'Authorization: Bearer {}'",
            "({})",
        ):
            assert SCANNED.findall(around.format(text)) == [text]


def test_a_secret_has_256_bits_that_nothing_repeats() -> None:
    secrets = {tokens.issue("k3v9x2m4q1").text[16:-6] for _ in range(500)}
    assert len(secrets) == 500
    numbers = [_number(secret) for secret in secrets]
    assert max(numbers).bit_length() in range(245, 257)
    # Each bit is one at about every second time: none is fixed.
    for bit in range(256):
        assert 150 < sum(number >> bit & 1 for number in numbers) < 350


def test_every_256_bits_have_room() -> None:
    assert tokens._base62(2**256 - 1, tokens.SECRET_CHARACTERS)[0] != "0"
    assert _number(tokens._base62(2**256 - 1, 43)) == 2**256 - 1
    assert len(tokens._base62(0, 43)) == 43


@given(number=st.integers(0, 2**256 - 1))
def test_base_62_says_the_number(number: int) -> None:
    text = tokens._base62(number, 43)
    assert len(text) == 43
    assert _number(text) == number


@given(data=st.data())
def test_one_wrong_character_is_no_token(data: st.DataObject) -> None:
    text = tokens.issue("k3v9x2m4q1").text
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(BASE_62 + "_-é \n"))
    wrong = text[:place] + other + text[place + 1 :]
    assert tokens.is_well_formed(wrong) == (wrong == text)


@given(text=st.text() | st.from_regex(SCANNED))
def test_nothing_else_is_well_formed_but_by_its_checksum(text: str) -> None:
    is_one = SCANNED.fullmatch(text) and text[-6:] == tokens.checksum(text[:-6])
    assert tokens.is_well_formed(text) == bool(is_one)
    tokens.id_of(text)  # of any text whatever


@pytest.mark.parametrize(
    "change",
    [
        str.upper,
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text[:-1],
        lambda text: text + "0",
        lambda text: text.replace("flux_", "flux-"),
        lambda text: "",
    ],
)
def test_a_changed_form_is_none(change: object) -> None:
    assert callable(change)
    assert not tokens.is_well_formed(change(tokens.issue("k3v9x2m4q1").text))


def test_ids_are_of_their_alphabet_and_do_not_repeat() -> None:
    ids = {tokens.new_id() for _ in range(1_000)}
    assert len(ids) == 1_000
    assert all(re.fullmatch("[0-9a-z]{10}", one) for one in ids)
