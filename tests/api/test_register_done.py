"""`/register/done` and the demo's checkout: how far a purchase is, and who is told."""

from collections.abc import Iterator

import pytest

from tests.support.buyers import (
    CHECKOUT,
    DONE,
    REGISTER,
    Buyer,
    buyer,
    name_in,
    refresh_of,
)
from tests.support.client import event
from tests.support.owners import text_of
from tests.support.shop import Shop
from tests.support.tenants import Registry, bearer, registry_of

UNKNOWN = "Did you just pay? Thank you"


@pytest.fixture
def ada(demo_shop: Shop) -> Iterator[Buyer]:
    with buyer(demo_shop.base_url) as person:
        yield person


@pytest.fixture
def rows(shop_database: str) -> Iterator[Registry]:
    with registry_of(shop_database) as opened:
        yield opened


def set_state(rows: Registry, purchase_id: str, values: str) -> None:
    rows.do(f"UPDATE namespaces_purchase SET {values} WHERE id = %s", purchase_id)


def tokens_of(rows: Registry, name: str) -> int:
    ((count,),) = rows.rows(
        "SELECT count(*) FROM namespaces_token t JOIN namespaces_namespace n"
        " ON n.id = t.namespace_id WHERE n.name = %s",
        name,
    )
    return int(count)


def is_good(shop: Shop, name: str, token: str) -> bool:
    answer = shop.api.get(f"/api/namespaces/{name}/tokens", authorization=bearer(token))
    return answer.status == 200


def test_a_browser_that_comes_back_is_not_believed_to_have_paid(ada: Buyer) -> None:
    purchase_id = ada.begin()
    page = ada.get(f"{DONE}?purchase={purchase_id}&session_id=cs_paid&status=paid")
    assert "Waiting for the payment" in text_of(page)
    assert f"{REGISTER}/demo/{purchase_id}" in page.text
    claimed = ada.send(DONE, purchase=purchase_id)
    assert "Waiting for the payment" in text_of(claimed, status=409)
    assert refresh_of(claimed)[1].startswith(DONE)


def test_a_page_that_waits_looks_again_with_more_and_more_patience(ada: Buyer) -> None:
    path = f"{DONE}?purchase={ada.begin()}"
    seconds, where = refresh_of(ada.get(path))
    assert seconds == 2
    assert where.startswith(f"{path}&since=")
    since = int(where.rpartition("=")[2])
    # From the second time on the address is the same, so the way back is short.
    assert refresh_of(ada.get(where)) == (2, where)
    later = f"{path}&since={since - 100}"
    assert refresh_of(ada.get(later)) == (5, later)
    assert refresh_of(ada.get(f"{path}&since=1"))[0] == 60
    for odd in ("-5", "x", "٣", "9" * 400, str(since + 10**6)):
        assert refresh_of(ada.get(f"{path}&since={odd}"))[0] == 2


def test_looking_makes_no_token(ada: Buyer, rows: Registry) -> None:
    purchase_id = ada.bought()
    for _ in range(3):
        text = ada.wait(purchase_id)
    name = name_in(text)
    assert tokens_of(rows, name) == 0
    assert ada.email in text
    ada.claim(purchase_id)
    assert tokens_of(rows, name) == 1


def test_a_token_may_be_asked_for_again_until_it_was_used(
    demo_shop: Shop, ada: Buyer
) -> None:
    purchase_id = ada.bought()
    name, first = ada.claim(purchase_id)
    assert "Show a new token" in text_of(ada.get(f"{DONE}?purchase={purchase_id}"))
    same_name, second = ada.claim(purchase_id)
    assert same_name == name
    assert first != second
    body = event(f"{name}/a", {"x": 1})
    used = demo_shop.api.post("/api/events", body, authorization=bearer(second))
    assert used.status == 200
    assert not is_good(demo_shop, name, first)
    text = text_of(ada.get(f"{DONE}?purchase={purchase_id}"))
    assert "<form" not in text
    assert "Go to my account" in text
    refused = text_of(ada.send(DONE, purchase=purchase_id), status=409)
    assert "This token was claimed before" in refused
    assert 'href="/account"' in refused
    assert is_good(demo_shop, name, second)


def test_a_day_later_the_account_makes_tokens(ada: Buyer, rows: Registry) -> None:
    purchase_id = ada.bought()
    name, _ = ada.claim(purchase_id)
    set_state(rows, purchase_id, "claimed_at = now() - interval '25 hours'")
    text = text_of(ada.get(f"{DONE}?purchase={purchase_id}"))
    assert name_in(text) == name
    assert "<form" not in text
    assert ada.send(DONE, purchase=purchase_id).status_code == 409
    assert tokens_of(rows, name) == 1


def test_another_browser_is_led_to_the_account(
    demo_shop: Shop, ada: Buyer, rows: Registry
) -> None:
    purchase_id = ada.bought()
    name = name_in(ada.wait(purchase_id))
    with buyer(demo_shop.base_url) as stranger:
        own_id = stranger.begin()
        for query in (f"?purchase={purchase_id}", "?purchase=pur_x", "?purchase=%00"):
            text = text_of(stranger.get(f"{DONE}{query}"))
            assert UNKNOWN in text
            assert 'href="/account"' in text
            assert name not in text
            assert ada.email not in text
            assert UNKNOWN in text_of(stranger.get(f"{CHECKOUT}{query}"))
        refused = stranger.send(DONE, purchase=purchase_id)
        assert UNKNOWN in text_of(refused, status=403)
        # Whose cookie is renamed has not the other's secret.
        cookie = stranger.person.client.cookies[f"flux_claim_{own_id}"]
        stranger.person.client.cookies.set(
            f"flux_claim_{purchase_id}", cookie, path=REGISTER
        )
        assert UNKNOWN in text_of(stranger.send(DONE, purchase=purchase_id), status=403)
    assert tokens_of(rows, name) == 0


def test_several_purchases_of_a_browser_do_not_lose_each_other(ada: Buyer) -> None:
    ids = [ada.begin() for _ in range(6)]
    assert ids[5] in ada.get(DONE).text
    for known in ids[1:]:
        assert known in ada.get(f"{DONE}?purchase={known}").text
    assert UNKNOWN in text_of(ada.get(f"{DONE}?purchase={ids[0]}"))
    assert len(set(ada.secrets)) == 6


def test_a_secret_stands_in_no_page_no_address_and_no_log(
    demo_shop: Shop, ada: Buyer
) -> None:
    purchase_id = ada.bought()
    _, token = ada.claim(purchase_id)
    ada.get(f"{DONE}?purchase={purchase_id}")
    ada.get(f"{REGISTER}?cancelled={purchase_id}")
    assert len(ada.secrets) == 2
    ada.get(f"{REGISTER}/demo/{purchase_id}-x")  # a refusal, which is logged
    log = demo_shop.server.log.read_text() + demo_shop.jobs.log.read_text()
    assert purchase_id in log
    for secret in ada.secrets:
        assert secret[16:-6] not in log
        assert secret[16:-6] not in "".join(ada.moved)
    pages = [page for page in ada.person.shown if token not in page]
    assert len(pages) == len(ada.person.shown) - 1
    assert not any("claim_" in page for page in ada.person.shown)


@pytest.mark.parametrize(
    ("values", "heading", "way_on"),
    [
        ("state = 'expired'", "This purchase was not paid in time", REGISTER),
        ("state = 'refunded'", "This purchase was refunded", REGISTER),
    ],
)
def test_a_purchase_that_came_to_nothing_says_so(
    ada: Buyer, rows: Registry, values: str, heading: str, way_on: str
) -> None:
    purchase_id = ada.begin()
    set_state(rows, purchase_id, values)
    page = ada.get(f"{DONE}?purchase={purchase_id}")
    assert heading in text_of(page)
    assert "refresh" not in page.headers
    assert f'class="button" href="{way_on}"' in page.text
    assert heading in text_of(ada.send(DONE, purchase=purchase_id), status=409)
    moved = ada.get(f"{CHECKOUT}?purchase={purchase_id}")
    assert moved.headers["location"] == f"{DONE}?purchase={purchase_id}"


def test_what_is_paid_but_not_made_yet_is_waited_for(
    ada: Buyer, rows: Registry
) -> None:
    purchase_id = ada.begin()
    set_state(rows, purchase_id, "state = 'paid', paid_at = now()")
    page = ada.get(f"{DONE}?purchase={purchase_id}")
    assert "The payment is confirmed" in text_of(page)
    assert "longer than it should" not in page.text
    assert refresh_of(page)[0] == 2
    late = text_of(ada.get(f"{DONE}?purchase={purchase_id}&since=1"))
    assert "longer than it should" in late


def test_no_browser_is_sent_where_no_page_is(ada: Buyer, rows: Registry) -> None:
    """Whatever a provider would say: what is no web address is no link."""
    purchase_id = ada.begin()
    set_state(rows, purchase_id, "checkout_url = 'javascript:alert(1)'")
    answer = ada.get(f"{CHECKOUT}?purchase={purchase_id}")
    assert answer.headers["location"] == f"{DONE}?purchase={purchase_id}"
    assert "javascript:" not in ada.get(f"{DONE}?purchase={purchase_id}").text


def test_pressing_twice_at_the_demo_s_checkout_buys_once(
    ada: Buyer, rows: Registry
) -> None:
    purchase_id = ada.begin()
    path = f"{REGISTER}/demo/{purchase_id}"
    for _ in range(2):
        assert ada.send(path).status_code == 303
    ada.wait(purchase_id)
    assert ada.send(path).status_code == 303
    assert "This checkout is closed" in text_of(ada.get(path))
    ((events,),) = rows.rows(
        "SELECT count(*) FROM namespaces_providerevent WHERE order_id = %s", purchase_id
    )
    assert events == 1


def test_a_checkout_that_is_over_takes_no_payment(ada: Buyer, rows: Registry) -> None:
    purchase_id = ada.begin()
    set_state(rows, purchase_id, "expires_at = now() - interval '1 second'")
    path = f"{REGISTER}/demo/{purchase_id}"
    assert "This checkout is closed" in text_of(ada.get(path))
    assert "This checkout is closed" in text_of(ada.send(path), status=409)
    found = rows.rows(
        "SELECT 1 FROM namespaces_providerevent WHERE order_id = %s", purchase_id
    )
    assert found == []


@pytest.mark.parametrize("purchase_id", ["pur_nobody", "%00", "pur_%F0%9F%A6%84"])
def test_an_unknown_checkout_is_a_page_that_says_so(
    ada: Buyer, purchase_id: str
) -> None:
    path = f"{REGISTER}/demo/{purchase_id}"
    for answer in (ada.get(path), ada.send(path)):
        assert "There is no checkout at this address" in text_of(answer, status=404)
