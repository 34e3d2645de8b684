"""`/api/purchases`: a namespace is bought by a program (contract §6 *Purchase*)."""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from flux_project.embedded import EmbeddedPostgres
from tests.support import shop as selling
from tests.support.client import ADMIN_HEADER, Api, event
from tests.support.post import Post, office, text_of
from tests.support.servers import Server, make_database
from tests.support.shop import PURCHASES, Shop, open_shop
from tests.support.stripe_objects import sign
from tests.support.tenants import registry_of

DATABASE = "flux_free_shop"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
WEBHOOK = "/api/billing/stripe/webhook"


@pytest.fixture(scope="module")
def post() -> Iterator[Post]:
    with office() as opened:
        yield opened


@pytest.fixture(scope="module")
def shop(postgres: EmbeddedPostgres, post: Post) -> Iterator[Shop]:
    """A server whose namespaces cost nothing."""
    selling.make_database(postgres, DATABASE)
    with open_shop(DATABASE, "free", EMAIL_URL=post.url) as opened_shop:
        yield opened_shop
        _no_secret_is_anywhere(opened_shop, post)


def _no_secret_is_anywhere(shop: Shop, post: Post) -> None:
    """Neither in what was logged, at its most talkative, nor in the database, nor in a
    mail."""
    assert shop.secrets
    with registry_of(DATABASE) as opened:
        tables = opened.rows(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        )
        stored = [opened.rows(f"SELECT t::text FROM {name} AS t") for (name,) in tables]
    places = [shop.server.log.read_text(), shop.jobs.log.read_text(), repr(stored)]
    places += [mail.as_string() for mail in post.mails]
    for secret in shop.secrets:
        for place in places:
            assert secret not in place
            assert secret[-40:] not in place


def test_a_namespace_is_bought_and_its_token_works(shop: Shop, post: Post) -> None:
    answer = shop.begin("Grace@Example.org")
    assert answer.status == 201
    told = answer.json
    assert told.keys() == {
        "purchase_id",
        "claim_secret",
        "checkout_url",
        "amount",
        "currency",
        "expires_at",
    }
    assert (told["checkout_url"], told["amount"]) == (None, 0)
    assert TIME.fullmatch(told["expires_at"])
    assert answer.headers["cache-control"] == "no-store"
    bought = shop.buy("grace@example.org")
    name = bought.wait_for("paid")["namespace"]
    assert re.fullmatch(r"[a-z]+-[a-z]+", name)
    claimed = shop.claimed(bought)
    assert claimed.keys() == {"namespaceId", "name", "token"}
    assert claimed["name"] == name
    header = f"Bearer {claimed['token']}"
    published = shop.api.post("/api/events", event(f"{name}/a"), authorization=header)
    assert published.status == 200
    assert bought.look()["status"] == "claimed"
    assert bought.look()["namespace"] == name
    mail = post.wait_for("grace@example.org", count=2)
    assert f"{shop.base_url}/account" in text_of(mail)


def test_an_answer_that_got_lost_is_asked_for_again(shop: Shop) -> None:
    bought = shop.buy()
    first = shop.claimed(bought)
    second = shop.claimed_again(bought)
    assert first["namespaceId"] == second["namespaceId"]
    body = event(f"{first['name']}/a")
    old, new = (f"Bearer {one['token']}" for one in (first, second))
    assert shop.api.post("/api/events", body, authorization=old).status == 401
    assert shop.api.post("/api/events", body, authorization=new).status == 200
    answer = bought.claim()
    assert (answer.status, answer.code) == (409, "already_claimed")
    assert "/account" in answer.json["error"]
    assert shop.api.post("/api/events", body, authorization=new).status == 200


def test_its_token_makes_others_and_that_is_a_use(shop: Shop) -> None:
    bought = shop.buy()
    claimed = shop.claimed(bought)
    path = f"/api/namespaces/{claimed['name']}/tokens"
    header = f"Bearer {claimed['token']}"
    made = shop.api.ask("POST", path, {"label": "x"}, authorization=header)
    assert made.status == 201
    shop.secrets.append(made.json["token"])

    def is_refused() -> bool:
        answer = bought.claim()
        if answer.status == 200:  # its use is noted half a second later
            message = "a token that was used was replaced"
            raise AssertionError(message)
        return answer.code == "already_claimed"

    assert is_refused()


@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer claim_x", "claim", "other"])
@pytest.mark.parametrize("path", ["", "/claim"])
def test_without_its_secret_nobody_sees_a_purchase(
    shop: Shop, header: str, path: str
) -> None:
    bought, other = shop.buy(), shop.buy()
    header = {"other": other.header}.get(header, header)
    method = "POST" if path else "GET"
    found = [
        shop.api.ask(method, f"{PURCHASES}/{one}{path}", b"{", authorization=header)
        for one in (bought.id, "pur_nobody", "%00", "a" * 300)
    ]
    for answer in found:
        assert (answer.status, answer.code) == (401, "claim_secret_needed")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert len({answer.body for answer in found}) == 1


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"", "invalid_json", None),
        (b"[]", "invalid_json", None),
        (b'{"email": "x"', "invalid_json", None),
        ({}, "invalid_email", "email"),
        ({"email": None}, "invalid_email", "email"),
        ({"email": ["a@example.org"]}, "invalid_email", "email"),
        ({"email": "a@example.org\nBcc: b@example.org"}, "invalid_email", "email"),
        ({"email": "a" * 250 + "@example.org"}, "invalid_email", "email"),
        ({"email": "a\u0000@example.org"}, "invalid_email", "email"),
    ],
)
def test_what_begins_no_purchase_is_told(
    shop: Shop, body: object, code: str, field: str | None
) -> None:
    answer = shop.api.post(PURCHASES, body)
    assert (answer.status, answer.json.get("field")) == (400, field)
    assert answer.json["code"] == code or field is None


def test_a_header_that_says_something_else_is_no_matter(shop: Shop) -> None:
    body = {"email": "ada@example.org", "unknown": 1}
    answer = shop.api.post(PURCHASES, body, authorization=ADMIN_HEADER)
    assert answer.status == 201
    shop.secrets.append(answer.json["claim_secret"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", PURCHASES),
        ("DELETE", f"{PURCHASES}/pur_1"),
        ("GET", f"{PURCHASES}/pur_1/claim"),
        ("GET", WEBHOOK),
    ],
)
def test_a_wrong_method_goes_before_a_secret(
    shop: Shop, method: str, path: str
) -> None:
    assert shop.api.ask(method, path).status == 405


def test_a_provider_that_is_not_used_is_not_heard(shop: Shop) -> None:
    answer = shop.api.post(WEBHOOK, {"id": "evt_1"})
    assert (answer.status, answer.code) == (404, "unknown_route")


def test_a_provider_of_before_is_heard_while_its_secret_is_kept(
    auth_database: str, start_auth: Callable[..., Server]
) -> None:
    """What was bought through it may still be given back."""
    secret = "whsec_of_a_provider_of_before"
    server = start_auth(FLUX_BILLING="off", FLUX_STRIPE_WEBHOOK_SECRET=secret)
    api = Api(server.port)
    answer = api.post(WEBHOOK, {"id": "evt_1"})
    assert (answer.status, answer.code) == (400, "invalid_signature")
    refund = {"id": "re_1", "object": "refund", "payment_intent": "pi_of_before"}
    told = {
        "id": "evt_of_before",
        "object": "event",
        "type": "refund.created",
        "created": 1_700_000_000,
        "data": {"object": refund},
    }
    body = json.dumps(told).encode()
    answer = api.post(WEBHOOK, body, **{"stripe-signature": sign(body, secret)})
    assert answer.status == 200
    with registry_of(auth_database) as opened:
        assert opened.rows(
            "SELECT payment_ref FROM namespaces_providerevent"
            " WHERE id = 'evt_of_before'"
        ) == [("pi_of_before",)]
    api.close()


def test_who_fails_keeps_no_good_secret_out(
    postgres: EmbeddedPostgres, start_auth: Callable[..., Server]
) -> None:
    """Behind a proxy that is not known as one, all have one address."""
    name = make_database(postgres, "flux_few_failures")
    with registry_of(name) as opened:
        opened.do(
            "UPDATE namespaces_runtimeconfig"
            " SET failed_tokens_per_address_per_minute = 2"
        )
    server = start_auth(database=name, FLUX_BILLING="free")
    api = Api(server.port)
    begun = api.post(PURCHASES, {"email": "ada@example.org"}).json
    path = f"{PURCHASES}/{begun['purchase_id']}"
    found = [api.ask("GET", path, authorization="Bearer x").status for _ in range(3)]
    assert found == [401, 401, 429]
    good = f"Bearer {begun['claim_secret']}"
    assert api.ask("GET", path, authorization=good).status == 200
    api.close()


def test_fifty_at_once_get_a_namespace_each(shop: Shop) -> None:
    """Through the provider that asks for no money; tests/flow has the one that does."""
    with ThreadPoolExecutor(10) as pool:

        def one(number: int) -> dict[str, str]:
            api = Api(shop.server.port)
            try:
                mine = Shop(shop.server, shop.jobs, api, shop.secrets)
                return mine.claimed(mine.buy(f"buyer{number}@example.org"))
            finally:
                api.close()

        found = list(pool.map(one, range(50)))
    assert len({one["name"] for one in found}) == 50
    assert len({one["token"] for one in found}) == 50


def test_a_network_begins_so_many_an_hour(
    postgres: EmbeddedPostgres, start_auth: Callable[..., Server]
) -> None:
    name = make_database(postgres, "flux_few_purchases")
    with registry_of(name) as opened:
        opened.do(
            "UPDATE namespaces_runtimeconfig SET registrations_per_address_per_hour = 2"
        )
    server = start_auth(database=name, FLUX_BILLING="free")
    api = Api(server.port)
    body = {"email": "ada@example.org"}
    assert [api.post(PURCHASES, body).status for _ in range(3)] == [201, 201, 429]
    answer = api.post(PURCHASES, body)
    assert answer.code == "too_many_purchases"
    assert 3_500 < int(answer.headers["retry-after"]) <= 3_600
    api.close()


def test_a_server_that_sells_nothing_says_so(auth_server: Server) -> None:
    api = Api(auth_server.port)
    answer = api.post(PURCHASES, {"email": "ada@example.org"})
    assert (answer.status, answer.code) == (404, "nothing_for_sale")
    assert "operator" in answer.json["error"]
    api.close()


def test_in_open_mode_there_is_nothing_to_buy(server: Server) -> None:
    api = Api(server.port)
    for method, path in (
        ("POST", PURCHASES),
        ("GET", f"{PURCHASES}/pur_1"),
        ("POST", f"{PURCHASES}/pur_1/claim"),
        ("POST", WEBHOOK),
    ):
        answer = api.ask(method, path, {"email": "ada@example.org"})
        assert (answer.status, answer.code) == (404, "open_mode")
    api.close()
