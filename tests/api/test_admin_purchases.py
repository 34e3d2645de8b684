"""Purchases in the admin: found, looked at, and what they brought."""

import itertools
import re
from datetime import timedelta

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from flux_project import roles
from namespaces import settling, takings
from namespaces.billing import demo
from namespaces.models import ProviderEvent, Purchase
from tests.support import purchases
from tests.support.accounts import page, registered, signed_in
from tests.support.purchases import LIST, of

pytestmark = pytest.mark.usefixtures("database")

HOSTILE = "<script>alert(1)</script>"
State = Purchase.State


@pytest.fixture(autouse=True)
def shop(settings: Settings) -> None:
    purchases.sell(settings)


@pytest.fixture
def operator(database: None) -> Client:
    return signed_in(roles.OPERATOR, "olga")


@pytest.fixture
def viewer(database: None) -> Client:
    return signed_in(roles.VIEWER, "vera")


def shown(text: str) -> list[str]:
    """The ids of the purchases in a list, in its order."""
    return list(dict.fromkeys(re.findall(r"/purchase/(pur_\w+)/change/", text)))


def body(text: str) -> str:
    return text.split("<tbody>")[1].split("</tbody>")[0]


def test_a_viewer_sees_what_was_bought(viewer: Client) -> None:
    purchase = purchases.provisioned()
    assert purchase.namespace is not None
    text = page(viewer, LIST)
    assert shown(text) == [purchase.id]
    for said in ("ada@example.org", "9.00 USD", "demo", "provisioned"):
        assert said in body(text)
    assert f"/namespace/{purchase.namespace.name}/change/" in body(text)


def test_the_page_of_a_purchase_says_all_but_its_secret(viewer: Client) -> None:
    begun = purchases.begun()
    settling.note("demo", demo.call(begun.purchase.id, demo.PAID))
    settling.settle(begun.purchase.id)
    settling.provision(begun.purchase.id)
    text = page(viewer, of(begun.purchase))
    happened = text.split('class="flux-steps"')[1].split("</ol>")[0]
    words = ["begun", "paid", "provisioned"]
    assert re.findall(r"<span>(\w+)", happened) == words
    assert f"demo_payment_{begun.purchase.id}" in text
    assert "demo.paid" in text  # the provider's call
    assert "namespaces.send_receipt" in text  # what is still to be done
    assert "namespace.create" in text  # the audit log
    digest = bytes(Purchase.objects.get().claim_digest)
    assert begun.secret not in text
    assert digest.hex() not in text
    assert str(digest) not in text


def test_who_has_no_role_sees_no_purchase() -> None:
    someone = signed_in(roles.NONE)
    purchase = purchases.paid()
    for path in (LIST, of(purchase), f"{LIST}revenue/", f"{LIST}calls/"):
        assert someone.get(path).status_code in {302, 403}


def test_it_is_found_by_its_address_its_id_and_its_namespace(viewer: Client) -> None:
    ours, _other = purchases.provisioned(), purchases.paid("eve@example.org")
    assert ours.namespace is not None
    for search in (" Ada@Example.org ", ours.id, ours.namespace.name):
        assert shown(page(viewer, f"{LIST}?search={search}")) == [ours.id]
    for search in ("ada", "pur_", "%00", "' OR 1=1 --", "nobody@example.org"):
        text = page(viewer, f"{LIST}?search={search}")
        assert ("No purchase matches." in text) is (search != "%00")


def test_states_are_filtered_for(viewer: Client) -> None:
    made, waiting = purchases.provisioned(), purchases.begun().purchase
    assert shown(page(viewer, f"{LIST}?state=provisioned")) == [made.id]
    assert shown(page(viewer, f"{LIST}?state=pending")) == [waiting.id]
    assert len(shown(page(viewer, f"{LIST}?state=%00nonsense"))) == 2


def test_what_needs_attention_is_found_and_counted(viewer: Client) -> None:
    purchases.provisioned("fine@example.org")
    purchases.paid("just.now@example.org")
    stuck = purchases.since(purchases.paid(), minutes=2)
    now = timezone.now()
    disputed = purchases.row(state=State.PAID, paid_at=now, disputed_at=now)
    odd = purchases.row(trouble="The provider's payment is of 1.00 EUR.")
    purchases.row(state=State.REFUNDED, disputed_at=now)
    text = page(viewer, f"{LIST}?state=attention")
    assert shown(text) == [odd.id, disputed.id, stuck.id]
    assert "No namespace yet" in body(text)
    assert 'attention">3</a>' in text


def test_a_page_has_fifty_and_the_next_goes_on(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takings, "PAGE_ROWS", 3)
    at = timezone.now() - timedelta(days=1)
    # All of one moment: the id decides.
    made = [purchases.row(created_at=at).id for _ in range(7)]
    made.append(purchases.row(created_at=at + timedelta(hours=1)).id)
    seen: list[str] = []
    text = page(viewer, LIST)
    for _ in itertools.repeat(None, 5):
        seen += shown(text)
        next_page = re.search(r'href="(\?[^"]*)" rel="next"', text)
        if next_page is None:
            break
        text = page(viewer, LIST + next_page[1])
    assert seen == [made[-1], *sorted(made[:-1], reverse=True)]


@pytest.mark.parametrize(
    "after",
    ["x", "%00", "9" * 17, f"{'9' * 16}-pur_x", f"{'9' * 40}-pur_x", "-1", "1-%00"],
)
def test_a_place_that_is_none_is_the_beginning_or_behind_all(
    viewer: Client, after: str
) -> None:
    purchase = purchases.row()
    assert shown(page(viewer, f"{LIST}?after={after}")) == [purchase.id]


def test_what_strangers_wrote_is_shown_as_text(operator: Client) -> None:
    purchase = purchases.row(
        state=State.PAID,
        paid_at=timezone.now(),
        email=f'"{HOSTILE}"@example.org',
        trouble=HOSTILE,
        payment_ref=HOSTILE,
        receipt_url="javascript:alert(1)",
    )
    now = timezone.now()
    for event_id, bought in (("evt_1", purchase), ("evt_2", None)):
        ProviderEvent.objects.create(
            id=event_id,
            provider="stripe",
            kind=HOSTILE,
            made_at=now,
            handled_at=now,
            purchase=bought,
            checkout_ref=HOSTILE,
        )
    for path in (LIST, f"{LIST}calls/", of(purchase), of(purchase, "refund")):
        text = operator.get(path).content.decode()
        assert "<script>alert" not in text, path
        assert "&lt;script&gt;alert" in text, path
        assert "javascript:alert" not in text, path


def test_the_provider_s_own_receipt_is_linked(viewer: Client) -> None:
    url = "https://pay.example.com/receipts/1"
    purchase = purchases.row(receipt_url=url)
    assert f'href="{url}"' in page(viewer, of(purchase))


def test_a_payment_of_another_amount_is_explained(viewer: Client) -> None:
    trouble = "The provider's payment is of 1.00 EUR, not of 9.00 EUR, as ordered."
    text = page(viewer, of(purchases.row(trouble=trouble)))
    assert trouble in text
    assert "This does not go on by itself." in text


def test_calls_that_nobody_knows_are_listed(viewer: Client) -> None:
    assert "There is none." in page(viewer, f"{LIST}calls/")
    now = timezone.now()
    known = purchases.row()
    rows = [("evt_lost", now, None), ("evt_ours", now, known), ("evt_new", None, None)]
    for event_id, handled_at, bought in rows:
        ProviderEvent.objects.create(
            id=event_id,
            provider="stripe",
            kind="checkout.session.completed",
            made_at=now,
            handled_at=handled_at,
            purchase=bought,
        )
    text = page(viewer, f"{LIST}calls/")
    assert re.findall(r"evt_\w+", body(text)) == ["evt_lost"]


def test_revenue_is_told_in_money_and_trials_are_none(viewer: Client) -> None:
    now = timezone.now()
    purchases.sold(now, amount=900, currency="eur")
    purchases.sold(now, amount=1_100_000, currency="eur", refunded=100_000)
    purchases.sold(now, amount=500, currency="jpy")
    purchases.provisioned()
    text = page(viewer, LIST)
    amounts = re.findall(r'class="flux-amount">(.*?)<', text)
    assert amounts == ["10,009.00 EUR", "500 JPY"]
    assert "<dd>4</dd>" in text
    text = page(viewer, f"{LIST}revenue/")
    books = re.findall(r'id="book-\d+">(.*?) <span class="flux-quiet">(.*?)<', text)
    assert books == [
        ("stripe, EUR", "10,009.00 EUR of 2 purchases"),
        ("stripe, JPY", "500 JPY of 1 purchase"),
        ("demo, USD", "Tried out on the demo's checkout: no money moved."),
    ]
    row = body(text)
    for said in ("11,009.00 EUR", "1,000.00 EUR", "10,009.00 EUR"):
        assert f">{said}</td>" in row
    assert f"{now:%b %Y}: 10,009.00 EUR</title>" in text


def test_nothing_sold_is_no_revenue(viewer: Client) -> None:
    assert "<dd>none</dd>" in page(viewer, LIST)
    assert "Nothing was paid" in page(viewer, f"{LIST}revenue/")


def test_the_overview_alarms_of_what_was_paid_and_not_given(viewer: Client) -> None:
    purchases.paid("just.now@example.org")
    assert "no namespace yet" not in page(viewer, "/admin/")
    settling.note_trouble(
        purchases.since(purchases.paid(), minutes=9).id, "NoNameLeft: none"
    )
    purchases.since(purchases.paid("eve@example.org"), minutes=2)
    purchases.row(trouble="of another amount")
    text = page(viewer, "/admin/")
    assert "2 paid purchases have no namespace yet, the oldest since" in text
    assert "UTC: NoNameLeft: none" in text
    assert "1 purchase cannot go on without somebody." in text
    assert "could not be handled" not in text
    assert f'href="{LIST}?state=attention"' in text


def test_the_overview_alarms_of_calls_that_cannot_be_handled(viewer: Client) -> None:
    """As with a key that may not read what it asks for: somebody may have paid."""
    at = timezone.now() - timedelta(minutes=6)
    fields = {"provider": "stripe", "kind": "x", "made_at": at, "received_at": at}
    ProviderEvent.objects.create(id="evt_1", **fields)
    ProviderEvent.objects.create(id="evt_2", handled_at=at, **fields)
    assert "1 call of the payment provider could not be handled" in page(
        viewer, "/admin/"
    )


def test_the_overview_alarms_of_jobs_that_do_not_succeed(viewer: Client) -> None:
    """As when the mail server is away: nobody gets a receipt, nor comes in."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, status, attempts)"
            " VALUES ('default', 'namespaces.send_receipt', 'todo', 4),"
            " ('default', 'namespaces.send_receipt', 'todo', 5),"
            " ('default', 'namespaces.send_link', 'failed', 8),"
            " ('default', 'namespaces.provision', 'todo', 3)"
        )
    text = page(viewer, "/admin/")
    assert "namespaces.send_link (1), namespaces.send_receipt (2)." in text
    assert "namespaces.provision" not in text


def test_a_namespace_names_who_bought_it(viewer: Client) -> None:
    purchase = purchases.provisioned()
    assert purchase.namespace is not None
    registered("dawn-coral")
    path = "/admin/namespaces/namespace/{}/change/"
    text = page(viewer, path.format(purchase.namespace.name))
    assert "Owner: ada@example.org" in text
    assert f'href="{of(purchase)}"' in text
    assert "Owner:" not in page(viewer, path.format("dawn-coral"))


def test_purchases_stand_in_the_sidebar_where_something_is_sold(
    viewer: Client, settings: Settings
) -> None:
    assert f'href="{LIST}"' in page(viewer, "/admin/")
    settings.FLUX_AUTH_ENABLED = False
    assert f'href="{LIST}"' not in page(viewer, "/admin/")


def test_jobs_have_no_pages_of_their_own() -> None:
    names = {model.__name__ for model in admin.site._registry}
    assert not [name for name in names if name.startswith("Procrastinate")]
    assert not [one for one in roles.permitted("operator") if "procrastinate" in one]
    client = signed_in(roles.ADMINISTRATOR)
    page(client, "/admin/procrastinate/procrastinatejob/", status=404)
    page(client, reverse("admin:namespaces_purchase_changelist"))
