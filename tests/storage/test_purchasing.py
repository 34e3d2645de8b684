"""Purchases are begun and claimed (contract §6): by whom, how often, how many."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from flux_project.errors import FluxError
from namespaces import (
    audit,
    claiming,
    config,
    issuing,
    owners,
    purchasing,
    settling,
    tenancy,
)
from namespaces.billing import Payment
from namespaces.models import Attempt, Purchase, Secret, Token
from namespaces.money import Price
from namespaces.purchasing import Begun
from namespaces.requests import Rotation
from namespaces.throttle import failures
from tests.support import shopping
from tests.support.till import Till

ADDRESS = "192.0.2.1"
SECRET = re.compile(r"claim_[0-9A-Za-z_-]{43}")
State = Purchase.State


@pytest.fixture
def till(database: None, settings: object, monkeypatch: pytest.MonkeyPatch) -> Till:
    return shopping.till(settings, monkeypatch)


def begin(email: str = "ada@example.org", address: str = ADDRESS) -> Begun:
    return purchasing.begin(email, base_url="http://flux.example", address=address)


def given(till: Till) -> Begun:
    """A purchase that may be claimed."""
    begun = begin()
    till.take(begun.purchase.id)
    settling.settle(begun.purchase.id)
    settling.provision(begun.purchase.id)
    return begun


def claim(begun: Begun) -> claiming.Claimed:
    found = purchasing.found(
        begun.purchase.id, f"Bearer {begun.secret}", address=ADDRESS
    )
    return claiming.claim(found, address=ADDRESS)


def usable() -> list[str]:
    return list(Token.objects.filter(revoked_at=None).values_list("id", flat=True))


def test_a_purchase_begins_with_a_checkout_and_a_secret(till: Till) -> None:
    begun = begin(" Ada@EXAMPLE.org ")
    assert SECRET.fullmatch(begun.secret)
    found = Purchase.objects.get()
    assert (found.email, found.state) == ("ada@example.org", State.PENDING)
    assert (found.amount, found.currency) == (900, "usd")
    assert found.checkout_url == f"http://till.example/{found.id}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT p::text FROM namespaces_purchase AS p")
        assert begun.secret not in cursor.fetchone()[0]


def test_a_provider_that_is_away_is_a_clear_answer(till: Till) -> None:
    till.is_away = True
    with pytest.raises(FluxError) as refused:
        begin()
    assert refused.value.status == 503
    found = Purchase.objects.get()
    assert (found.state, found.checkout_ref) == (State.PENDING, "")


@pytest.mark.parametrize(
    "email", ["", "x", "a@b", "a b@example.org", "a@exam\nple.org", None, 7, "ä@ö.de"]
)
def test_what_is_no_address_begins_nothing(till: Till, email: object) -> None:
    with pytest.raises(FluxError) as refused:
        purchasing.begin(email, base_url="http://flux.example", address=ADDRESS)
    assert (refused.value.code, refused.value.field) == ("invalid_email", "email")
    assert Purchase.objects.count() == 0


def test_one_network_begins_so_many_an_hour(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = config.Config(registrations_per_address_per_hour=3)
    monkeypatch.setattr(config, "_current", few)

    def attempt(_: int) -> int:
        try:
            begin(address="2001:db8::1")
        except FluxError as error:
            return error.status
        finally:
            connections.close_all()
        return 200

    with ThreadPoolExecutor(6) as pool:
        found = sorted(pool.map(attempt, range(8)))
    assert found == [200] * 3 + [429] * 5
    with pytest.raises(purchasing.TooManyPurchases) as refused:
        begin(address="2001:db8::2")  # the same customer's network
    assert 0 < (refused.value.retry_after or 0) <= 3_600
    begin(address="2001:db8:0:1::1")
    Attempt.objects.update(at=timezone.now() - timedelta(minutes=61))
    begin(address="2001:db8::2")


def test_a_secret_opens_its_own_purchase_alone(till: Till) -> None:
    one, other = begin(), begin()
    for purchase_id, header in (
        (one.purchase.id, f"Bearer {other.secret}"),
        ("pur_nothing", f"Bearer {one.secret}"),
        ("\0", f"Bearer {one.secret}"),
        (one.purchase.id, "Bearer claim_ünicode"),
        (one.purchase.id, "Bearer "),
        (one.purchase.id, None),
    ):
        with pytest.raises(purchasing.ClaimSecretNeeded):
            purchasing.found(purchase_id, header, address=ADDRESS)
    assert (
        purchasing.found(one.purchase.id, f"bearer {one.secret}", address=ADDRESS).id
        == one.purchase.id
    )


def test_who_guesses_secrets_is_slowed_down(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = config.Config(failed_tokens_per_address_per_minute=2)
    monkeypatch.setattr(config, "_current", few)
    monkeypatch.setattr(failures, "_counts", {})
    begun = begin()
    codes = []
    for _ in range(3):
        with pytest.raises(FluxError) as refused:
            purchasing.found(begun.purchase.id, "Bearer x", address="192.0.2.77")
        codes.append(refused.value.status)
    assert codes == [401, 401, 429]


def test_a_claim_gives_a_token_that_has_all_rights(till: Till) -> None:
    claimed = claim(given(till))
    token = Token.objects.get()
    assert claimed.text.startswith(f"flux_{token.id}_")
    assert token.namespace_id == claimed.namespace.id
    assert set(token.scopes) == {"publish", "delete", "connectors", "tokens"}
    assert Purchase.objects.get().state == State.CLAIMED


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (State.PENDING, "not_paid"),
        (State.PAID, "not_ready"),
        (State.EXPIRED, "purchase_expired"),
        (State.REFUNDED, "purchase_refunded"),
    ],
)
def test_what_is_not_there_cannot_be_claimed(till: Till, state: str, code: str) -> None:
    begun = begin()
    Purchase.objects.update(state=state)
    with pytest.raises(FluxError) as refused:
        claim(begun)
    assert (refused.value.status, refused.value.code) == (409, code)
    assert Token.objects.count() == 0


def test_a_claim_may_be_repeated_until_its_token_is_used(till: Till) -> None:
    begun = given(till)
    first, second = claim(begun), claim(begun)
    assert first.text != second.text
    assert len(usable()) == 1
    assert second.text.startswith(f"flux_{usable()[0]}_")
    Token.objects.update(last_used_at=timezone.now())
    with pytest.raises(claiming.AlreadyClaimed) as refused:
        claim(begun)
    assert "/account" in refused.value.message
    assert len(usable()) == 1


def test_a_page_that_is_behind_ends_no_token(till: Till) -> None:
    """Another tab has shown one since; but who pressed twice gets the second."""
    begun = given(till)
    found = purchasing.found(
        begun.purchase.id, f"Bearer {begun.secret}", address=ADDRESS
    )
    first = claiming.claim(found, address=ADDRESS, after="")
    second = claiming.claim(found, address=ADDRESS, after="")
    assert first.text != second.text
    some_time_ago = timezone.now() - timedelta(seconds=6)
    Token.objects.update(created_at=some_time_ago)
    Secret.objects.update(made_at=some_time_ago)
    with pytest.raises(claiming.ShownBefore):
        claiming.claim(found, address=ADDRESS, after="")
    third = claiming.claim(found, address=ADDRESS, after=usable()[0])
    assert len(usable()) == 1
    assert usable()[0] in third.text


def test_after_a_day_no_claim_is_repeated(till: Till) -> None:
    begun = given(till)
    claim(begun)
    Purchase.objects.update(claimed_at=timezone.now() - timedelta(hours=24, minutes=1))
    with pytest.raises(claiming.AlreadyClaimed):
        claim(begun)


def test_the_day_begins_with_the_first_claim(till: Till) -> None:
    begun = given(till)
    claim(begun)
    first = Purchase.objects.get().claimed_at
    claim(begun)
    assert Purchase.objects.get().claimed_at == first


def test_of_many_claims_at_once_one_token_works(till: Till) -> None:
    begun = given(till)

    def once(_: int) -> str:
        try:
            return claim(begun).text
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        texts = list(pool.map(once, range(12)))
    assert len(set(texts)) == 12
    assert len(usable()) == 1
    assert sum(usable()[0] in text for text in texts) == 1


@pytest.mark.parametrize("how", ["revoke", "delete"])
def test_what_its_owner_ended_is_not_claimed_again(till: Till, how: str) -> None:
    begun = given(till)
    claimed = claim(begun)
    actor = audit.owner("ada@example.org", ADDRESS)
    name = claimed.namespace.name
    ends: dict[str, Callable[[], object]] = {
        "revoke": lambda: issuing.revoke(name, usable()[0], actor),
        "delete": lambda: tenancy.delete(name, actor),
    }
    ends[how]()
    with pytest.raises(claiming.AlreadyClaimed):
        claim(begun)


def test_whose_owner_rotated_the_token_has_ended_its_claim(till: Till) -> None:
    """Perhaps because a stranger has seen the claim secret."""
    begun = given(till)
    claim(begun)
    claimed = claim(begun)
    actor = audit.owner("ada@example.org", ADDRESS)
    a_minute_ago = timezone.now() - timedelta(minutes=1)
    Token.objects.update(created_at=a_minute_ago)
    Secret.objects.update(made_at=a_minute_ago)
    issuing.rotate(claimed.namespace.name, usable()[0], Rotation(), actor)
    with pytest.raises(claiming.AlreadyClaimed):
        claim(begun)


def test_a_mailbox_gets_five_free_namespaces_an_hour(till: Till, settings: Any) -> None:
    settings.FLUX_PRICE = Price(0, "usd")
    for number in range(5):
        begin(address=f"192.0.2.{number}")
    with pytest.raises(purchasing.TooManyPurchases):
        begin(" ADA@example.org", address="192.0.2.99")
    begin("grace@example.org", address="192.0.2.99")
    settings.FLUX_PRICE = Price(900, "usd")
    begin(address="192.0.2.99")


def test_a_claim_and_a_refund_meet_to_a_suspended_namespace(till: Till) -> None:
    begun = given(till)
    till.says[begun.purchase.id] = Payment("refunded", 900, "usd", refunded=900)
    settling.settle(begun.purchase.id)
    with pytest.raises(claiming.PurchaseRefunded):
        claim(begun)


def test_waiting_asks_the_provider_now_and_then(till: Till) -> None:
    begun = begin()
    for _ in range(5):
        purchasing.nudge(Purchase.objects.get())
    assert shopping.jobs("settle") == [{"purchase_id": begun.purchase.id}]


def test_what_is_old_is_asked_about_less_often(till: Till) -> None:
    begin()
    now = timezone.now()
    Purchase.objects.update(
        created_at=now - timedelta(hours=2), looked_at=now - timedelta(seconds=100)
    )
    purchasing.nudge(Purchase.objects.get())
    assert shopping.jobs("settle") == []
    Purchase.objects.update(looked_at=now - timedelta(seconds=121))
    purchasing.nudge(Purchase.objects.get())
    assert len(shopping.jobs("settle")) == 1


def test_purchases_of_one_mailbox_have_one_owner(till: Till) -> None:
    one, other = given(till), given(till)
    claimed = [claim(one).namespace, claim(other).namespace]
    owner = claimed[0].owner
    assert owner is not None
    assert {found.id for found in owners.namespaces(owner)} == {
        found.id for found in claimed
    }
    assert len(owners.purchases(owner)) == 2


def test_no_secret_is_in_the_audit_log_or_in_a_job(till: Till) -> None:
    begun = given(till)
    claimed = claim(begun)
    with connection.cursor() as cursor:
        for table in ("namespaces_auditentry", "procrastinate_jobs"):
            cursor.execute(
                f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t"
            )
            text = cursor.fetchone()[0]
            assert begun.purchase.id in text
            assert begun.secret not in text
            assert claimed.text not in text
            assert claimed.text[-49:] not in text
