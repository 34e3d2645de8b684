"""A token's text: made, taken apart, and known by its digest. Pure.

`flux_` + id + `_` + secret + checksum: the prefix and the checksum let a secret scanner
tell a token from a random string (GitHub's format, with CRC-32 in base 62, does the
same). Invariant: what is stored of a secret is its SHA-256 alone; it has 256 random
bits, so nothing slower is needed to keep it from being guessed.
"""

import hashlib
import re
import secrets
import zlib

from msgspec import Struct

MARK = "flux_"
ID_CHARACTERS = 10
SECRET_CHARACTERS = 43  # 62 ** 43 is more than 2 ** 256
CHECKSUM_CHARACTERS = 6

_LOWER = "0123456789abcdefghijklmnopqrstuvwxyz"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY = SECRET_CHARACTERS + CHECKSUM_CHARACTERS
_TOKEN = re.compile(rf"flux_[0-9a-z]{{{ID_CHARACTERS}}}_[0-9A-Za-z]{{{_BODY}}}")
# Where it stands in a token's text.
ID = slice(len(MARK), len(MARK) + ID_CHARACTERS)


class Issued(Struct, frozen=True):
    """A token at the moment it is made: the only one at which its text is known."""

    text: str
    digest: bytes


def new_id() -> str:
    """What a token is called for ever, in lists and in the log: no secret."""
    return random_text(ID_CHARACTERS)


def random_text(length: int) -> str:
    return "".join([secrets.choice(_LOWER) for _ in range(length)])


def issue(token_id: str) -> Issued:
    """A new secret for the token of this id."""
    secret = _base62(secrets.randbits(256), SECRET_CHARACTERS)
    text = f"{MARK}{token_id}_{secret}"
    text += checksum(text)
    return Issued(text, digest_of(text))


def is_well_formed(text: str) -> bool:
    """Whether this can be a token at all: its form and its checksum."""
    if _TOKEN.fullmatch(text) is None:
        return False
    return text.endswith(checksum(text[:-CHECKSUM_CHARACTERS]))


def id_of(text: str) -> str:
    """The id in a token's text; of any other text, something that is no id."""
    return text[ID]


def digest_of(text: str) -> bytes:
    """What a token is known by (32 bytes). ValueError for a lone surrogate."""
    return digest(text.encode())


def digest(text: bytes) -> bytes:
    """The same of its bytes."""
    return hashlib.sha256(text).digest()


def checksum(text: str) -> str:
    """CRC-32 of all that goes before, in base 62."""
    return _base62(zlib.crc32(text.encode()), CHECKSUM_CHARACTERS)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
