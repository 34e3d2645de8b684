"""A mail server for tests, and the mails that came to it."""

import email
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller

from tests.support.servers import free_port, wait_for


@dataclass
class Post:
    """url: for EMAIL_URL. mails: all that came, the oldest first."""

    url: str
    mails: list[EmailMessage] = field(default_factory=list)
    # So many of the next ones are refused, for now.
    refusals: int = 0

    async def handle_DATA(  # noqa: N802  aiosmtpd's name
        self, server: Any, session: Any, envelope: Any
    ) -> str:
        if self.refusals:
            self.refusals -= 1
            return "451 Not now"
        found = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(found, EmailMessage)
        self.mails.append(found)
        return "250 OK"

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for mail in self.mails if mail["To"] == address]

    def wait_for(self, address: str, *, count: int = 1) -> EmailMessage:
        """The newest one to an address, once there are as many."""
        wait_for(lambda: len(self.to(address)) >= count, what=f"a mail to {address}")
        return self.to(address)[-1]


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def html_of(mail: EmailMessage) -> str:
    body = mail.get_body(("html",))
    assert body is not None
    return str(body.get_content())


def link_in(mail: EmailMessage) -> str:
    """The sign-in link."""
    found = re.search(r"https?://\S+/account/sign-in\?\S+", text_of(mail))
    assert found is not None, text_of(mail)
    return found[0]


@contextmanager
def office() -> Iterator[Post]:
    """A mail server on a free port, until the block ends."""
    port = free_port()
    post = Post(f"smtp://127.0.0.1:{port}")
    controller = Controller(post, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield post
    finally:
        controller.stop()
