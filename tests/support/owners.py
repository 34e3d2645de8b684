"""People who own namespaces, and their browsers, as HTTP alone.

Invariant: a form is sent with the token of the cookie that its page set, as a browser
does; what a browser was ever shown is in `shown`, so that a test can look there.
"""

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from tests.support.client import event
from tests.support.post import Post, link_in
from tests.support.shop import Bought, Shop
from tests.support.tenants import bearer, fresh_name

ACCOUNT = "/account"
SIGN_IN = f"{ACCOUNT}/sign-in"
SECONDS = 30.0


@dataclass
class Browser:
    """One browser's cookies; no redirect is followed unasked."""

    client: httpx.Client
    shown: list[str] = field(default_factory=list)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self._kept(self.client.get(path, headers=headers))

    def page(self, path: str, *, status: int = 200) -> str:
        """What a page says, with its entities read."""
        return text_of(self.get(path), status=status)

    def send(self, path: str, **fields: object) -> httpx.Response:
        """Sends a form. A field that is a list is sent several times."""
        if "csrftoken" not in self.client.cookies:
            self.get(ACCOUNT)
        secret = self.client.cookies["csrftoken"]
        data = {"csrfmiddlewaretoken": secret, **fields}
        return self._kept(self.client.post(path, data=data))

    def _kept(self, answer: httpx.Response) -> httpx.Response:
        self.shown.append(answer.text)
        return answer

    @property
    def session_key(self) -> str | None:
        return self.client.cookies.get("sessionid")

    def asks_for_link(self, email: str) -> None:
        answer = self.send(f"{ACCOUNT}/link", email=email)
        assert answer.status_code == 303, answer.text

    def enter(self, link: str) -> None:
        """Opens a link and presses its button."""
        assert "Sign in as" in self.page(path_of(link))
        answer = self.send(SIGN_IN, token=token_of(link))
        assert (answer.status_code, answer.headers["location"]) == (303, ACCOUNT)


@contextmanager
def browser(base_url: str) -> Iterator[Browser]:
    with httpx.Client(base_url=base_url, timeout=SECONDS, trust_env=False) as client:
        yield Browser(client)


def text_of(answer: httpx.Response, *, status: int = 200) -> str:
    assert answer.status_code == status, answer.text
    return html.unescape(answer.text)


def path_of(link: str) -> str:
    parts = urlsplit(link)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def token_of(link: str) -> str:
    return link.partition("token=")[2]


def secret_in(text: str) -> str:
    """The one namespace token that a page shows, however often."""
    found = set(re.findall(r"flux_[0-9a-z]{10}_[0-9A-Za-z]{49}", text))
    assert len(found) == 1, found
    return str(found.pop())


def mailed_link(person: Browser, post: Post, email: str) -> str:
    """Asks for a link, and finds it in the mail."""
    before = len(post.to(email))
    person.asks_for_link(email)
    return link_in(post.wait_for(email, count=before + 1))


@dataclass
class Owner:
    """Somebody who bought a namespace at a shop. token: the one they claimed."""

    email: str
    name: str
    token: str
    bought: Bought

    @property
    def path(self) -> str:
        return f"{ACCOUNT}/namespaces/{self.name}"

    @property
    def receipt(self) -> str:
        return f"{ACCOUNT}/receipts/{self.bought.id}"


def new_owner(shop: Shop, email: str | None = None) -> Owner:
    """Buys at the demo's checkout, and claims."""
    email = email or f"{fresh_name('owner')}@example.org"
    bought = shop.buy(email)
    pay(shop, bought)
    claimed = shop.claimed(bought)
    return Owner(email, claimed["name"], claimed["token"], bought)


def pay(shop: Shop, bought: Bought) -> None:
    with browser(shop.base_url) as person:
        answer = person.send(path_of(bought.checkout_url or ""))
        assert answer.status_code == 303, answer.text


@dataclass
class Signed:
    """An owner with a browser in which they are signed in."""

    owner: Owner
    person: Browser
    shop: Shop

    def path(self, rest: str) -> str:
        return f"{self.owner.path}/{rest}"

    def page(self, *, status: int = 200) -> str:
        return self.person.page(self.owner.path, status=status)

    def make(self, label: str, **fields: object) -> str:
        """A new token's text."""
        given = {"label": label, "scopes": ["publish"], **fields}
        answer = self.person.send(self.path("tokens/new"), **given)
        text = text_of(answer)
        assert "no-store" in answer.headers["cache-control"]
        self.shop.secrets.append(secret_in(text))
        return secret_in(text)

    def publishes(self, token: str, rest: str = "x") -> int:
        body = event(f"{self.owner.name}/{rest}", {"t": 1})
        header = bearer(token)
        status: int = self.shop.api.post(
            "/api/events", body, authorization=header
        ).status
        return status


@contextmanager
def signed_in(shop: Shop, post: Post) -> Iterator[Signed]:
    """A new owner, and a browser in which they came in by a mailed link."""
    owner = new_owner(shop)
    with browser(shop.base_url) as person:
        person.enter(mailed_link(person, post, owner.email))
        yield Signed(owner, person, shop)
