"""What an account shows: what is owned, what was used, what was paid."""

from collections.abc import Iterator

import pytest

from tests.support import owners
from tests.support.owners import ACCOUNT, Signed, signed_in
from tests.support.post import Post
from tests.support.servers import wait_for
from tests.support.shop import DATABASE, Shop
from tests.support.tenants import Registry, registry_of


@pytest.fixture(scope="module")
def rows(demo_shop: Shop) -> Iterator[Registry]:
    with registry_of(DATABASE) as opened:
        opened.do("DELETE FROM namespaces_attempt")
        yield opened


@pytest.fixture
def ada(demo_shop: Shop, shop_post: Post, rows: Registry) -> Iterator[Signed]:
    with signed_in(demo_shop, shop_post) as opened:
        yield opened


def test_the_account_shows_what_is_owned_used_and_paid(ada: Signed) -> None:
    assert ada.publishes(ada.owner.token, "shown") == 200

    def is_counted() -> bool:
        page = ada.page()
        return "Events, 24 h</dt><dd>0<" not in page

    wait_for(is_counted, what="the usage to be counted")
    assert 'class="flux-bar"' in ada.page()
    overview = ada.person.page(ACCOUNT)
    for text in (ada.owner.name, "active", "9.00 USD", ada.owner.receipt):
        assert text in overview
    receipt = ada.person.page(ada.owner.receipt)
    for text in (ada.owner.bought.id, ada.owner.name, "9.00 USD", ada.owner.email):
        assert text in receipt
    assert "no money moves" in receipt
    assert ada.owner.token not in ada.person.shown[-1]


def test_a_purchase_on_its_way_is_told_of(
    ada: Signed, rows: Registry, demo_shop: Shop
) -> None:
    bought = demo_shop.buy(ada.owner.email)
    assert bought.id not in ada.person.page(ACCOUNT)  # it is not paid
    assert ada.person.get(f"{ACCOUNT}/receipts/{bought.id}").status_code == 404
    owners.pay(demo_shop, bought)
    name = bought.wait_for("paid")["namespace"]
    page = ada.person.page(ACCOUNT)
    assert f"{name} is ready" in page.replace("<strong>", "").replace("</strong>", "")
    state = (
        "UPDATE namespaces_purchase SET state = %s, namespace_id ="
        " (SELECT id FROM namespaces_namespace WHERE name = %s) WHERE id = %s"
    )
    rows.do(state, "paid", None, bought.id)
    assert "it is being made" in ada.person.page(ACCOUNT)
    assert "being made" in ada.person.page(f"{ACCOUNT}/receipts/{bought.id}")
    rows.do(state, "provisioned", name, bought.id)


def test_a_refund_is_on_the_receipt(ada: Signed, rows: Registry) -> None:
    rows.do(
        "UPDATE namespaces_purchase SET state = 'refunded', refunded = 900,"
        " refunded_at = now(), receipt_url = 'https://pay.example.org/r/1'"
        " WHERE id = %s",
        ada.owner.bought.id,
    )
    receipt = ada.person.page(ada.owner.receipt)
    assert "Given back" in receipt
    assert 'href="https://pay.example.org/r/1"' in receipt
    assert "refunded" in ada.person.page(ACCOUNT)


def test_who_owns_nothing_signs_in_all_the_same(ada: Signed, rows: Registry) -> None:
    """An operator may have given the namespace to nobody, and the receipt is old."""
    rows.do(
        "UPDATE namespaces_namespace SET owner_id = NULL WHERE name = %s",
        ada.owner.name,
    )
    assert ada.page(status=404)
    assert "You own no namespace any more." in ada.person.page(ACCOUNT)
