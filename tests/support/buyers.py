"""People who buy on the pages below /register, as HTTP alone.

Invariant: every claim secret and token that a buyer was given is in `secrets`, so that
a test can look for it where it must not be.
"""

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.support.owners import Browser, browser, path_of, secret_in, text_of
from tests.support.servers import wait_for
from tests.support.tenants import fresh_name

REGISTER = "/register"
DONE = f"{REGISTER}/done"
CHECKOUT = f"{REGISTER}/checkout"


@dataclass
class Buyer:
    """Somebody with a browser. moved: the addresses it was sent on to."""

    person: Browser
    email: str
    secrets: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)

    def get(self, path: str) -> httpx.Response:
        return self._kept(self.person.get(path))

    def send(self, path: str, **fields: object) -> httpx.Response:
        return self._kept(self.person.send(path, **fields))

    def _kept(self, answer: httpx.Response) -> httpx.Response:
        self.secrets += claim_secrets(answer)
        for name in ("location", "refresh"):
            if name in answer.headers:
                self.moved.append(answer.headers[name])
        return answer

    def begin(self) -> str:
        """Sends the form; the purchase's id."""
        answer = self.send(REGISTER, email=self.email)
        assert answer.status_code == 303, answer.text
        (purchase_id,) = parse_qs(urlsplit(answer.headers["location"]).query)[
            "purchase"
        ]
        return purchase_id

    def pay(self, purchase_id: str) -> httpx.Response:
        """Follows the checkout page and presses the demo's button."""
        page = self.get(f"{CHECKOUT}?purchase={purchase_id}")
        return self.send(path_of(refresh_of(page)[1]))

    def wait(self, purchase_id: str) -> str:
        """Looks as the page does, until the button for the token is there."""
        path = f"{DONE}?purchase={purchase_id}"
        wait_for(lambda: "<form" in self.get(path).text, what=f"{purchase_id}'s button")
        return text_of(self.get(path))

    def bought(self) -> str:
        """Buys a namespace; the purchase's id."""
        purchase_id = self.begin()
        answer = self.pay(purchase_id)
        assert answer.status_code == 303, answer.text
        self.wait(purchase_id)
        return purchase_id

    def claim(self, purchase_id: str) -> tuple[str, str]:
        """Presses the button; the namespace's name and its token."""
        text = text_of(self.send(DONE, purchase=purchase_id))
        self.secrets.append(secret_in(text))
        return name_in(text), self.secrets[-1]


@contextmanager
def buyer(base_url: str) -> Iterator[Buyer]:
    with browser(base_url) as person:
        yield Buyer(person, f"{fresh_name('buyer')}@example.org")


def claim_secrets(answer: httpx.Response) -> list[str]:
    """Those in an answer's cookies."""
    cookies = " ".join(answer.headers.get_list("set-cookie"))
    return re.findall(r"claim_[\w-]{43}", cookies)


def name_in(text: str) -> str:
    """The name in a page's heading."""
    found = re.search(r'<span class="name">([a-z0-9-]+)</span>', text)
    assert found is not None, text
    return found[1]


def refresh_of(answer: httpx.Response) -> tuple[int, str]:
    """After how many seconds a page goes on by itself, and where to."""
    seconds, _, where = answer.headers["refresh"].partition("; url=")
    return int(seconds), html.unescape(where)
