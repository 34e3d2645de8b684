"""Namespaces are sold through Stripe: real servers, a real job worker, and a fake of
Stripe's API that is a server of its own (tests/support/stripe_fake.py).

What must hold, whatever comes late, twice, wrongly or not at all: every purchase that
was paid ends in exactly one namespace, nobody gets another's, nothing is given unpaid.
"""

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flux_project.embedded import EmbeddedPostgres
from tests.support.client import Answer, Api, event
from tests.support.post import Post, office, text_of
from tests.support.servers import wait_for
from tests.support.shop import Bought, Shop, make_database, open_shop
from tests.support.stripe_fake import StripeFake
from tests.support.stripe_fake import running as running_stripe
from tests.support.tenants import Registry, registry_of

DATABASE = "flux_stripe_shop"
WEBHOOK = "/api/billing/stripe/webhook"


@pytest.fixture(scope="module")
def till() -> Iterator[StripeFake]:
    with running_stripe() as fake:
        yield fake


@pytest.fixture(scope="module")
def post() -> Iterator[Post]:
    with office() as opened:
        yield opened


@pytest.fixture(scope="module")
def books(postgres: EmbeddedPostgres) -> Iterator[Registry]:
    """What stands in the database."""
    make_database(postgres, DATABASE)
    with registry_of(DATABASE) as opened:
        yield opened


@pytest.fixture(scope="module")
def opened(books: Registry, till: StripeFake, post: Post) -> Iterator[Shop]:
    settings = {"FLUX_PRICE": "9.00 USD", "EMAIL_URL": post.url, **till.settings}
    with open_shop(DATABASE, "stripe", **settings) as shop:
        yield shop
        _no_secret_was_logged(shop, till)


def _no_secret_was_logged(shop: Shop, till: StripeFake) -> None:
    for log in (shop.server.log.read_text(), shop.jobs.log.read_text()):
        for secret in (*shop.secrets, till.secret_key, till.webhook_secret):
            assert secret not in log
        assert "@example.org" not in log


@pytest.fixture
def shop(opened: Shop, till: StripeFake) -> Iterator[Shop]:
    """Stripe tells it of everything at once, unless a test wants otherwise."""
    till.deliver_all_to(f"{opened.base_url}{WEBHOOK}")
    yield opened
    till.wait_until_delivered()
    till.recover()


def session_of(bought: Bought) -> str:
    """The checkout session, which its page's address ends with."""
    assert bought.checkout_url is not None
    return bought.checkout_url.rpartition("/")[2]


def publish(shop: Shop, claimed: dict[str, Any]) -> Answer:
    header = f"Bearer {claimed['token']}"
    body = event(f"{claimed['name']}/a", {"x": 1})
    return shop.api.post("/api/events", body, authorization=header)


def states(books: Registry) -> dict[str, tuple[str, str | None]]:
    """Of each purchase, its state and its namespace."""
    rows = books.rows("SELECT id, state, namespace_id FROM namespaces_purchase")
    return {id_: (state, namespace) for id_, state, namespace in rows}


def test_a_namespace_is_bought(shop: Shop, till: StripeFake, post: Post) -> None:
    answer = shop.begin("ada@example.org")
    assert (answer.json["amount"], answer.json["currency"]) == (900, "usd")
    bought = shop.buy("ada@example.org")
    assert str(bought.checkout_url).startswith(till.url)
    assert bought.look()["status"] == "pending"
    refused = bought.claim()
    assert (refused.status, refused.code) == (409, "not_paid")
    till.pay(session_of(bought))
    claimed = shop.claimed(bought)
    assert publish(shop, claimed).status == 200
    text = text_of(post.wait_for("ada@example.org"))
    assert "9.00 USD" in text
    assert claimed["name"] in text


def test_what_is_told_twice_and_in_disorder_is_done_once(
    shop: Shop, till: StripeFake, books: Registry
) -> None:
    till.deliver_all_to("")
    bought = shop.buy()
    session = session_of(bought)
    done = till.pay(session)
    refund = till.refund(session, 300)
    to = f"{shop.base_url}{WEBHOOK}"
    for told in (refund, done, done, refund, done):
        assert till.deliver(told, to=to) == 200
    claimed = shop.claimed(bought)
    assert publish(shop, claimed).status == 200
    wait_for(
        lambda: all(row[0] for row in _events(books, bought)), what="the calls' end"
    )
    assert len(_events(books, bought)) == 2
    assert books.rows(
        "SELECT refunded FROM namespaces_purchase WHERE id = %s", bought.id
    ) == [(300,)]


def _events(books: Registry, bought: Bought) -> list[tuple[Any, ...]]:
    return books.rows(
        "SELECT handled_at IS NOT NULL FROM namespaces_providerevent"
        " WHERE order_id = %s OR purchase_id = %s",
        bought.id,
        bought.id,
    )


def test_a_call_that_stripe_did_not_sign_is_refused(
    shop: Shop, till: StripeFake, books: Registry
) -> None:
    till.deliver_all_to("")
    bought = shop.buy()
    done = till.pay(session_of(bought))
    to = f"{shop.base_url}{WEBHOOK}"
    before = books.rows("SELECT count(*) FROM namespaces_providerevent")
    assert till.deliver(done, to=to, secret="whsec_another") == 400
    assert till.deliver(done, to=to, age_seconds=400) == 400
    assert till.deliver(done, to=to, body=done.body.replace(b"900", b"100")) == 400
    assert till.deliver(done, to=to, body=b"") == 400
    answer = shop.api.post(WEBHOOK, done.body)
    assert (answer.status, answer.code) == (400, "invalid_signature")
    assert books.rows("SELECT count(*) FROM namespaces_providerevent") == before
    assert states(books)[bought.id] == ("pending", None)
    assert till.deliver(done, to=to) == 200
    bought.wait_for("paid")


def test_a_purchase_of_which_nobody_tells_is_found_by_asking(
    shop: Shop, till: StripeFake
) -> None:
    """The webhook is lost; whoever waits for the purchase has Stripe asked."""
    till.deliver_all_to("")
    bought = shop.buy()
    till.pay(session_of(bought))
    assert shop.claimed(bought)["name"]


def test_a_call_about_a_purchase_that_is_not_ours_is_put_aside(
    shop: Shop, till: StripeFake, books: Registry
) -> None:
    till.deliver_all_to("")
    bought = shop.buy()
    done = till.pay(session_of(bought))
    stranger = done.body.replace(bought.id.encode(), b"pur_0123456789abcdef")
    forged = type(done)(**{**vars(done), "body": stranger})
    assert till.deliver(forged, to=f"{shop.base_url}{WEBHOOK}") == 200

    def is_aside() -> bool:
        return books.rows(
            "SELECT purchase_id FROM namespaces_providerevent"
            " WHERE order_id = 'pur_0123456789abcdef' AND handled_at IS NOT NULL"
        ) == [(None,)]

    wait_for(is_aside, what="the call of nobody's purchase")


def test_a_session_that_ended_gives_nothing(
    shop: Shop, till: StripeFake, books: Registry
) -> None:
    bought = shop.buy()
    till.expire(session_of(bought))
    bought.wait_for("expired")
    refused = bought.claim()
    assert (refused.status, refused.code) == (409, "purchase_expired")
    assert states(books)[bought.id] == ("expired", None)


def test_money_that_takes_days_is_waited_for(shop: Shop, till: StripeFake) -> None:
    """The buyer's browser is back, the session complete, and nothing is paid yet."""
    bought, failing = shop.buy(), shop.buy()
    for one in (bought, failing):
        till.pay_slowly(session_of(one))
    till.wait_until_delivered()
    assert bought.look()["status"] == "pending"
    till.arrive(session_of(bought))
    till.fall_through(session_of(failing))
    assert shop.claimed(bought)["name"]
    failing.wait_for("expired")


def test_a_refund_suspends_the_namespace(
    shop: Shop, till: StripeFake, post: Post
) -> None:
    bought = shop.buy("refunded@example.org")
    till.pay(session_of(bought))
    claimed = shop.claimed(bought)
    assert publish(shop, claimed).status == 200
    till.refund(session_of(bought))
    bought.wait_for("refunded")
    refused = publish(shop, claimed)
    assert (refused.status, refused.code) == (403, "namespace_suspended")
    assert bought.claim().code == "purchase_refunded"
    post.wait_for("refunded@example.org", count=2)
    assert "9.00 USD" in text_of(post.to("refunded@example.org")[-1])


def test_a_dispute_suspends_it_until_it_is_won(shop: Shop, till: StripeFake) -> None:
    bought = shop.buy()
    till.pay(session_of(bought))
    claimed = shop.claimed(bought)
    till.dispute(session_of(bought))
    wait_for(lambda: publish(shop, claimed).status == 403, what="the suspension")
    till.close_dispute(session_of(bought), won=True)
    wait_for(lambda: publish(shop, claimed).status == 200, what="its end")


def test_stripe_away_is_said_and_costs_nothing(shop: Shop, till: StripeFake) -> None:
    with till.away():
        answer = shop.begin("ada@example.org")
    assert (answer.status, answer.code) == (503, "payment_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    bought = shop.buy()
    till.deliver_all_to("")
    done = till.pay(session_of(bought))
    with till.away():
        assert till.deliver(done, to=f"{shop.base_url}{WEBHOOK}") == 200
    assert shop.claimed(bought)["name"]


def test_killed_between_the_payment_and_the_namespace(
    shop: Shop, till: StripeFake, books: Registry
) -> None:
    """Nobody does jobs when Stripe calls; who comes then, finds what there is to do."""
    bought = shop.buy()
    shop.jobs.kill()
    till.pay(session_of(bought))
    till.wait_until_delivered()
    assert states(books)[bought.id] == ("pending", None)
    shop.jobs.start()
    assert shop.claimed(bought)["name"]


PAID, UNTOLD, LEFT, ENDED = "paid", "paid and untold", "left", "ended"
TROUBLE_SECONDS = 20
Outcome = tuple[str, Bought, dict[str, Any] | None]


class Rush:
    """Buyers at once, each in a way of its own, while the worker is killed at times."""

    def __init__(self, shop: Shop, till: StripeFake) -> None:
        self._shop, self._till = shop, till
        self._dice = random.Random(6)  # noqa: S311  the same buyers in each run
        self._is_over = threading.Event()

    def ways(self, count: int) -> list[str]:
        weighted = [PAID, PAID, PAID, UNTOLD, LEFT, ENDED]
        return [self._dice.choice(weighted) for _ in range(count)]

    def run(self, ways: list[str]) -> list[Outcome]:
        troubling = threading.Thread(target=self._trouble)
        troubling.start()
        try:
            with ThreadPoolExecutor(10) as pool:
                return list(pool.map(self._buy, ways))
        finally:
            self._is_over.set()
            troubling.join(30)

    def _trouble(self) -> None:
        """A job of a killed worker runs again after half a minute. So that none is
        caught a second time, and a third, this is over by then."""
        ends_at = time.monotonic() + TROUBLE_SECONDS
        while time.monotonic() < ends_at:
            if self._is_over.wait(self._dice.uniform(0.3, 1.2)):
                return
            self._shop.jobs.kill()
            self._shop.jobs.start()
        # A worker ends with the thread that started it.
        self._is_over.wait(120)

    def _buy(self, way: str) -> Outcome:
        api = Api(self._shop.server.port)
        try:
            mine = Shop(self._shop.server, self._shop.jobs, api, self._shop.secrets)
            bought = mine.buy()
            if way == ENDED:
                self._till.expire(session_of(bought))
            if way not in {PAID, UNTOLD}:
                return way, bought, None
            done = self._till.pay(session_of(bought))
            if way == PAID:
                self._till.deliver(done, to=f"{mine.base_url}{WEBHOOK}")
            return way, bought, mine.claimed(bought)
        finally:
            api.close()


def test_fifty_buyers_while_the_worker_is_killed(
    shop: Shop, till: StripeFake, books: Registry
) -> None:
    before = states(books)
    till.wait_until_delivered()
    till.deliver_all_to("")
    rush = Rush(shop, till)
    ways = rush.ways(50)
    found = rush.run(ways)
    names = [claimed["name"] for _, _, claimed in found if claimed]
    assert len(set(names)) == len(names)
    assert len(names) == ways.count(PAID) + ways.count(UNTOLD)
    after = states(books)
    for way, bought, claimed in found:
        state, namespace = after[bought.id]
        if claimed is None:
            assert (namespace, state in {"pending", "expired"}) == (None, True), way
        else:
            assert (state, namespace) == ("claimed", claimed["namespaceId"])
    made = books.rows("SELECT count(*) FROM namespaces_namespace")[0][0]
    assert made == sum(namespace is not None for _, namespace in after.values())
    assert len(after) == len(before) + 50
