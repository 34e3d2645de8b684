"""E-mail addresses, as people type them.

Invariant: one mailbox has one spelling here, so that who signs in is who bought.
"""

import idna
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator

from flux_project.errors import Invalid

# Without Django's exception for localhost: mail goes out into the world.
_check = EmailValidator(allowlist=())
MAX_CHARACTERS = 254  # RFC 5321 §4.5.3.1.3, without its brackets


class InvalidEmail(Invalid):
    """email must be an e-mail address, such as you@example.org."""

    code = "invalid_email"


def checked(given: object) -> str:
    """In lower case, its domain in ASCII. Raises InvalidEmail.

    Two mailboxes whose addresses differ in case alone could exist by RFC 5321, but no
    provider of any size has them, and people type either.
    """
    text = given.strip().lower() if isinstance(given, str) else ""
    # First: Python's IDNA takes seconds of a core for a megabyte.
    if len(text) > MAX_CHARACTERS:
        raise InvalidEmail(field="email")
    local, at, domain = text.rpartition("@")
    try:
        # IDNA 2008: by the older one that Python has, straße.de would be strasse.de.
        text = f"{local}{at}{idna.encode(domain, uts46=True).decode('ascii')}"
        _check(text)
    except (ValidationError, UnicodeError):
        raise InvalidEmail(field="email") from None
    # Nor to a host that has no name, nor to quoted local parts, in which nearly any
    # character may stand. Django would let both pass.
    is_odd = text.endswith("]") or '"' in text
    if len(text) > MAX_CHARACTERS or not text.isascii() or is_odd:
        raise InvalidEmail(field="email")
    return text
