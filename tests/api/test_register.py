"""`/register`: namespaces are bought on pages, by a browser that runs no scripts."""

import re
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from flux_project.embedded import EmbeddedPostgres
from namespaces import claim_cookies, shop_pages
from tests.support.buyers import CHECKOUT, DONE, REGISTER, Buyer, buyer, refresh_of
from tests.support.client import Api, event
from tests.support.owners import path_of, text_of
from tests.support.servers import Server, wait_for
from tests.support.shop import Shop, make_database, open_shop
from tests.support.tenants import bearer, registry_of

StartAuth = Callable[..., Server]


@pytest.fixture
def ada(demo_shop: Shop) -> Iterator[Buyer]:
    with buyer(demo_shop.base_url) as person:
        yield person


@pytest.fixture(scope="module")
def free_shop(postgres: EmbeddedPostgres) -> Iterator[Shop]:
    database = make_database(postgres, "flux_free_pages")
    with open_shop(database, "free") as opened:
        yield opened


def test_the_page_says_what_is_sold_for_how_much_and_how(ada: Buyer) -> None:
    answer = ada.get(REGISTER)
    text = text_of(answer)
    for part in ("dawn-coral/", "9.00 USD", "How it goes", "no money moves"):
        assert part in text
    assert "flux.sh buy you@example.org" in text
    assert '/api/purchases -d \'{"email": "you@example.org"}\'' in text
    assert 'type="email" autocomplete="email"' in text
    assert '<label for="email">' in text
    assert "no-store" in answer.headers["cache-control"]


def test_a_namespace_is_bought_and_written_to(demo_shop: Shop, ada: Buyer) -> None:
    purchase_id = ada.begin()
    page = ada.get(f"{CHECKOUT}?purchase={purchase_id}")
    checkout_url = f"{demo_shop.base_url}{REGISTER}/demo/{purchase_id}"
    assert refresh_of(page) == (0, checkout_url)
    assert f'href="{checkout_url}">Pay 9.00 USD on the demo page</a>' in page.text
    assert "No money moves here" in text_of(ada.get(path_of(checkout_url)))
    paid = ada.send(path_of(checkout_url))
    assert paid.status_code == 303
    assert paid.headers["location"] == f"{DONE}?purchase={purchase_id}"
    assert "Show my token" in ada.wait(purchase_id)
    name, token = ada.claim(purchase_id)
    answer = demo_shop.api.post(
        "/api/events", event(f"{name}/kitchen", {"x": 1}), authorization=bearer(token)
    )
    assert answer.status == 200
    assert demo_shop.api.get(f"/api/namespaces/{name}").json["entityCount"] == 1


def test_the_commands_that_come_with_a_token_are_ready_to_paste(
    demo_shop: Shop, ada: Buyer
) -> None:
    purchase_id = ada.bought()
    answer = ada.send(DONE, purchase=purchase_id)
    text = text_of(answer)
    (token,) = set(re.findall(r"flux_[0-9a-z]{10}_[0-9A-Za-z]{49}", text))
    ada.secrets.append(token)
    assert f"export FLUX_URL={demo_shop.base_url}\nexport FLUX_TOKEN={token}" in text
    assert "flux.sh publish sensors my-thermometer" in text
    assert '<pre class="token" data-copy="Copy the token">' in text
    for link in ("/live", "/account"):
        assert f'href="{link}"' in text
    assert "no-store" in answer.headers["cache-control"]


def test_what_is_free_has_no_checkout(free_shop: Shop) -> None:
    with buyer(free_shop.base_url) as person:
        text = text_of(person.get(REGISTER))
        assert "Free" in text
        assert "9.00" not in text
        answer = person.send(REGISTER, email=person.email)
        assert answer.headers["location"].startswith(f"{DONE}?purchase=pur_")
        purchase_id = answer.headers["location"].partition("=")[2]
        assert "free" in person.wait(purchase_id)
        again = person.get(f"{CHECKOUT}?purchase={purchase_id}")
        assert again.headers["location"] == f"{DONE}?purchase={purchase_id}"
        name, token = person.claim(purchase_id)
        body = event(f"{name}/a", {"x": 1})
        answer_of = free_shop.api.post("/api/events", body, authorization=bearer(token))
        assert answer_of.status == 200
        assert person.get(f"{REGISTER}/demo/{purchase_id}").status_code == 404


def test_where_nothing_is_for_sale_the_page_says_whom_to_ask(
    auth_server: Server,
) -> None:
    with buyer(auth_server.base_url) as person:
        text = text_of(person.get(REGISTER))
        assert "Whoever runs it gives you one" in text
        assert "mailto:" not in text
        assert "<form" not in text
        assert f'href="{REGISTER}"' not in text
        refused = person.send(REGISTER, email=person.email)
        assert "sells no namespaces" in text_of(refused, status=404)


@pytest.mark.parametrize(
    ("contact", "link"),
    [
        ("ops@example.org", "mailto:ops@example.org"),
        ("https://example.org/ask", "https://example.org/ask"),
    ],
)
def test_an_operator_who_can_be_reached_is_linked_to(
    settings: Any, contact: str, link: str
) -> None:
    settings.FLUX_AUTH_ENABLED, settings.FLUX_CONTACT = True, contact
    answer = shop_pages.register(RequestFactory().get(REGISTER))
    assert answer.status_code == 200
    assert f'href="{link}"' in answer.content.decode()


def test_open_mode_has_no_namespaces_to_register(api: Api) -> None:
    answer = api.get(REGISTER)
    assert answer.status == 404
    assert b"FLUX_AUTH_ENABLED" in answer.body
    home = api.get("/").body.decode()
    assert f'href="{REGISTER}"' not in home
    assert 'href="/account"' not in home


def test_the_first_page_leads_to_the_shop(ada: Buyer) -> None:
    text = text_of(ada.get("/"))
    assert text.count(f'href="{REGISTER}"') == 2
    assert 'href="/account"' in text


@pytest.mark.parametrize("email", ["", "ada", "ada@", "a b@example.org", '"><b>@x'])
def test_what_is_no_address_is_said_at_its_field(ada: Buyer, email: str) -> None:
    answer = ada.send(REGISTER, email=email)
    text = answer.text
    assert answer.status_code == 400
    assert 'aria-invalid="true" aria-describedby="wrong hint"' in text
    assert 'id="wrong">This is no e-mail address.' in text
    shown = email.replace('"', "&quot;").replace(">", "&gt;").replace("<", "&lt;")
    assert f'value="{shown}"' in text
    assert ada.secrets == []


def test_a_form_without_its_token_is_refused(demo_shop: Shop) -> None:
    with httpx.Client(base_url=demo_shop.base_url, trust_env=False) as client:
        client.get(REGISTER)
        for path in (REGISTER, DONE, f"{REGISTER}/demo/pur_1"):
            answer = client.post(path, data={"email": "ada@example.org"})
            assert "Form expired" in text_of(answer, status=403)
            assert "set-cookie" not in answer.headers


def test_too_many_purchases_are_refused_above_the_form(
    demo_shop: Shop, shop_database: str, ada: Buyer
) -> None:
    """The limit is an operator's, who brings it down for this one."""
    ada.begin()
    change = (
        "UPDATE namespaces_runtimeconfig SET registrations_per_address_per_hour = %s"
    )
    with registry_of(shop_database) as registry:
        ((before,),) = registry.rows(
            "SELECT registrations_per_address_per_hour FROM namespaces_runtimeconfig"
        )
        registry.do(change, 1)
        try:
            answers: list[httpx.Response] = []

            def is_refused() -> bool:
                answers.append(ada.send(REGISTER, email=ada.email))
                return answers[-1].status_code == 429

            wait_for(is_refused, what="the limit to be known", seconds=10)
        finally:
            registry.do(change, before)
        wait_for(
            lambda: ada.send(REGISTER, email=ada.email).status_code == 303,
            what="the limit to be gone",
            seconds=10,
        )
    refused = answers[-1]
    assert 0 < int(refused.headers["retry-after"]) <= 3_600
    assert 'role="alert">Too many purchases' in refused.text
    assert f'value="{ada.email}"' in refused.text
    assert refused.text.index("Too many") < refused.text.index("<form")


def test_a_provider_that_is_away_is_said_above_the_form(
    start_auth: StartAuth, shop_database: str
) -> None:
    server = start_auth(
        database=shop_database,
        FLUX_BILLING="stripe",
        FLUX_PRICE="12.00 EUR",
        FLUX_STRIPE_SECRET_KEY="sk_test_for_the_tests",
        FLUX_STRIPE_WEBHOOK_SECRET="whsec_for_the_tests",
        FLUX_STRIPE_API="http://127.0.0.1:9",
    )
    with buyer(server.base_url) as person:
        assert "You pay at Stripe." in text_of(person.get(REGISTER))
        answer = person.send(REGISTER, email=person.email)
        text = text_of(answer, status=503)
        assert 'role="alert">The payment provider does not answer now' in text
        assert f'value="{person.email}"' in text
        assert "sk_test" not in text + server.log.read_text()
        assert person.secrets == []


def test_who_turns_back_at_the_checkout_may_go_there_again(ada: Buyer) -> None:
    purchase_id = ada.begin()
    demo = text_of(ada.get(f"{REGISTER}/demo/{purchase_id}"))
    assert f'href="{REGISTER}?cancelled={purchase_id}">Cancel</a>' in demo
    text = text_of(ada.get(f"{REGISTER}?cancelled={purchase_id}"))
    assert "no money moved" in text
    assert f'href="{CHECKOUT}?purchase={purchase_id}"' in text
    assert ada.pay(purchase_id).status_code == 303
    other = text_of(ada.get(f'{REGISTER}?cancelled="><b>'))
    assert "no money moved" in other
    assert CHECKOUT not in other
    assert "<b>" not in ada.get(f'{REGISTER}?cancelled="><b>').text


def test_the_cookie_is_for_these_pages_alone(demo_shop: Shop, ada: Buyer) -> None:
    answer = ada.send(REGISTER, email=ada.email)
    cookies = SimpleCookie(answer.headers["set-cookie"])
    (found,) = cookies.values()
    assert found["httponly"] is True
    assert found["samesite"] == "Lax"
    assert found["path"] == REGISTER
    assert found["max-age"] == str(25 * 3_600)
    assert not found["secure"]
    assert "domain" not in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize("is_https", [True, False])
def test_over_https_the_cookie_is_for_https_alone(
    settings: Any, *, is_https: bool
) -> None:
    settings.SESSION_COOKIE_SECURE = is_https
    answer = HttpResponse()
    request = RequestFactory().post(REGISTER)
    claim_cookies.remember(request, answer, purchase_id="pur_1", secret="claim_x")
    assert answer.cookies["flux_claim_pur_1"]["secure"] == (is_https or "")


@pytest.mark.parametrize("path", [REGISTER, CHECKOUT, DONE, f"{REGISTER}/demo/pur_1"])
def test_a_page_takes_its_methods_alone(demo_shop: Shop, path: str) -> None:
    with httpx.Client(base_url=demo_shop.base_url, trust_env=False) as client:
        client.get(REGISTER)
        headers = {"X-CSRFToken": client.cookies["csrftoken"]}
        page, head = client.get(path), client.head(path)
        assert (head.status_code, head.content) == (page.status_code, b"")
        for method in ("PUT", "DELETE", "PATCH"):
            answer = client.request(method, path, headers=headers)
            assert answer.status_code == 405
            assert "GET" in answer.headers["allow"]
        posted = client.post(path, headers=headers)
        assert (posted.status_code == 405) == (path == CHECKOUT)
