"""What an operator does about a purchase in the admin, and nobody else."""

import re

import pytest
from django.test import Client
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django.fixtures import Settings

from flux_project import roles
from namespaces import naming, settling
from namespaces.billing import PaymentRefused, ProviderUnavailable, demo
from namespaces.models import AuditEntry, Namespace, Purchase
from tests.support import purchases
from tests.support.accounts import page, send, signed_in
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


def entry(action: str, purchase: Purchase) -> AuditEntry:
    found = AuditEntry.objects.get(action=action)
    assert (found.actor, found.channel) == ("user olga", "admin")
    assert (found.address, found.target) == ("192.0.2.7", purchase.id)
    return found


def jobs_of(purchase: Purchase, task: str) -> int:
    rows = ProcrastinateJob.objects.filter(task_name=task)
    return rows.filter(args={"purchase_id": purchase.id}).count()


@pytest.mark.parametrize("what", ["resend", "refund", "ask"])
def test_a_viewer_does_nothing_about_a_purchase(viewer: Client, what: str) -> None:
    purchase = purchases.provisioned()
    text = page(viewer, of(purchase))
    assert f"/{what}/" not in text
    page(viewer, of(purchase, what), status=403)
    send(viewer, of(purchase, what), status=403, because="x")
    assert purchases.again(purchase).state == State.PROVISIONED
    assert not AuditEntry.objects.filter(action__startswith="purchase.")


@pytest.mark.parametrize("what", ["change", "resend", "refund", "ask"])
def test_a_purchase_that_does_not_exist_is_not_found(
    operator: Client, what: str
) -> None:
    page(operator, f"{LIST}pur_nothing/{what}/", status=404)
    page(operator, f"{LIST}a%00b/{what}/", status=404)


def test_a_refund_needs_a_reason_and_suspends_the_namespace(operator: Client) -> None:
    purchase = purchases.provisioned()
    assert purchase.namespace is not None
    text = page(operator, of(purchase, "refund"))
    assert "Refund 9.00 USD" in text
    assert f"Nobody writes to <strong>{purchase.namespace.name}</strong>" in text
    text = send(operator, of(purchase, "refund"), status=200, because=" ")
    assert "This field is required" in text
    assert purchases.again(purchase).state == State.PROVISIONED

    answer = operator.post(of(purchase, "refund"), {"because": HOSTILE}, follow=True)
    text = answer.content.decode()
    assert "9.00 USD was given back." in text
    assert "<script>alert" not in text
    now = purchases.again(purchase)
    assert (now.state, now.refunded) == (State.REFUNDED, 900)
    namespace = Namespace.objects.get(id=purchase.namespace_id)
    assert namespace.suspended_because == settling.REFUNDED
    after = dict(entry("purchase.refund", purchase).after or {})
    assert after == {"amount": "9.00 USD", "because": HOSTILE}
    assert jobs_of(purchase, "namespaces.send_refund") == 1

    text = send(operator, of(purchase, "refund"), status=200, because="twice")
    assert "Nothing was paid for this purchase, or all of it" in text
    assert "<button class" not in text.split('class="flux-form"')[1].split("</form>")[0]
    assert AuditEntry.objects.filter(action="purchase.refund").count() == 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PaymentRefused("The bank says no."), "The bank says no."),
        (ProviderUnavailable(), "does not answer now"),
    ],
)
def test_what_the_provider_says_to_a_refund_is_on_the_form(
    operator: Client,
    monkeypatch: pytest.MonkeyPatch,
    error: PaymentRefused | ProviderUnavailable,
    said: str,
) -> None:
    def refuse(self: demo.Demo, order: object) -> None:
        raise error

    purchase = purchases.provisioned()
    monkeypatch.setattr(demo.Demo, "refund", refuse)
    text = send(operator, of(purchase, "refund"), status=200, because="kept reason")
    assert said in text.split('role="alert"')[1].split("</p>")[0]
    assert "kept reason</textarea>" in text
    assert purchases.again(purchase).state == State.PROVISIONED


def test_what_is_not_confirmed_yet_is_not_said_to_be_given_back(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    purchase = purchases.provisioned()
    monkeypatch.setattr(demo.Demo, "refund", lambda self, order: None)
    path = of(purchase, "refund")
    text = operator.post(path, {"because": "x"}, follow=True).content.decode()
    assert "has not confirmed it yet" in text


def test_a_receipt_is_sent_again_by_a_job(operator: Client) -> None:
    purchase = purchases.provisioned()
    ProcrastinateJob.objects.all()._raw_delete("default")
    text = page(operator, of(purchase, "resend"))
    assert "goes to ada@example.org again" in text
    send(operator, of(purchase, "resend"), status=302)
    send(operator, of(purchase, "resend"), status=302)
    assert jobs_of(purchase, "namespaces.send_receipt") == 1
    assert AuditEntry.objects.filter(action="purchase.resend").count() == 2


def test_there_is_no_receipt_before_there_is_a_namespace(operator: Client) -> None:
    purchase = purchases.paid()
    assert "/resend/" not in page(operator, of(purchase))
    assert "no receipt to send" in page(operator, of(purchase, "resend"))
    text = send(operator, of(purchase, "resend"), status=200)
    assert "A receipt is sent when there is a namespace" in text
    assert jobs_of(purchase, "namespaces.send_receipt") == 0
    assert not AuditEntry.objects.filter(action="purchase.resend")


def test_the_provider_is_asked_and_what_is_paid_gets_its_namespace(
    operator: Client,
) -> None:
    purchase = purchases.begun().purchase
    settling.note("demo", demo.call(purchase.id, demo.PAID))
    assert purchases.again(purchase).state == State.PENDING
    answer = operator.post(of(purchase, "ask"), follow=True)
    assert "this purchase is provisioned." in answer.content.decode()
    assert purchases.again(purchase).namespace is not None
    entry("purchase.settle", purchase)


def test_what_is_not_paid_stays_so_when_the_provider_is_asked(
    operator: Client,
) -> None:
    purchase = purchases.begun().purchase
    answer = operator.post(of(purchase, "ask"), follow=True)
    assert "this purchase is pending." in answer.content.decode()
    assert Namespace.objects.count() == 0


def test_why_a_namespace_cannot_be_made_is_said_where_it_is_asked_for(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise naming.NoNameLeft

    purchase = purchases.since(purchases.paid(), minutes=2)
    settling.note_trouble(purchase.id, "NoNameLeft: none")
    text = page(operator, of(purchase))
    assert "NoNameLeft: none" in text
    assert "at the latest every five minutes" in text
    monkeypatch.setattr(naming, "propose", fail)
    text = send(operator, of(purchase, "ask"), status=200)
    assert "No name was found" in text.split('role="alert"')[1]
    monkeypatch.undo()
    send(operator, of(purchase, "ask"), status=302)
    now = purchases.again(purchase)
    assert (now.state, now.trouble) == (State.PROVISIONED, "")


@pytest.mark.parametrize(
    ("state", "offered"),
    [
        (State.PENDING, {"ask"}),
        (State.EXPIRED, {"ask"}),
        (State.PAID, {"ask", "refund"}),
        (State.REFUNDED, set()),
    ],
)
def test_what_makes_no_sense_is_not_offered(
    operator: Client, state: str, offered: set[str]
) -> None:
    purchase = purchases.row(state=state)
    links = re.findall(rf"/{purchase.id}/(\w+)/", page(operator, of(purchase)))
    assert set(links) == offered


def test_what_was_given_away_is_not_refunded(operator: Client) -> None:
    purchase = purchases.provisioned()
    Purchase.objects.update(provider="free", amount=0)
    links = re.findall(rf"/{purchase.id}/(\w+)/", page(operator, of(purchase)))
    assert links == ["resend"]
