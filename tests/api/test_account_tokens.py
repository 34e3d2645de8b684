"""What owners do with their namespaces and tokens, and nobody else does."""

from collections.abc import Iterator

import pytest

from tests.support import owners
from tests.support.owners import ACCOUNT, Signed, secret_in, signed_in
from tests.support.post import Post
from tests.support.shop import DATABASE, Shop
from tests.support.tenants import Registry, registry_of


def id_of(token: str) -> str:
    return token.split("_")[1]


@pytest.fixture(scope="module")
def rows(demo_shop: Shop) -> Iterator[Registry]:
    with registry_of(DATABASE) as opened:
        opened.do("DELETE FROM namespaces_attempt")
        yield opened


@pytest.fixture(scope="module")
def ada(demo_shop: Shop, shop_post: Post, rows: Registry) -> Iterator[Signed]:
    with signed_in(demo_shop, shop_post) as opened:
        yield opened


@pytest.fixture(scope="module")
def eve(demo_shop: Shop, shop_post: Post, rows: Registry) -> Iterator[Signed]:
    with signed_in(demo_shop, shop_post) as opened:
        yield opened


@pytest.fixture
def brief(demo_shop: Shop, shop_post: Post, rows: Registry) -> Iterator[Signed]:
    """One whose namespace a test may suspend or delete."""
    with signed_in(demo_shop, shop_post) as opened:
        yield opened


def test_a_token_is_made_shown_once_rotated_and_revoked(
    ada: Signed, rows: Registry
) -> None:
    token = ada.make("porch", prefix=f"{ada.owner.name}/porch/")
    assert ada.publishes(token, "porch/lamp") == 200
    assert ada.publishes(token, "kitchen") == 403
    assert token not in ada.page()
    assert "porch" in ada.page()
    token_id = id_of(token)
    rotate = ada.path(f"tokens/{token_id}/rotate")
    assert "The secret it has now works for" in ada.person.page(rotate)
    answer = ada.person.send(rotate, overlap_seconds="0")
    rotated = secret_in(owners.text_of(answer))
    ada.shop.secrets.append(rotated)
    assert rotated != token
    assert ada.publishes(rotated, "porch/lamp") == 200
    assert ada.publishes(token, "porch/lamp") == 401
    revoke = ada.path(f"tokens/{token_id}/revoke")
    assert "cannot be undone" in ada.person.page(revoke)
    assert ada.publishes(rotated, "porch/lamp") == 200
    gone = ada.person.send(revoke)
    assert (gone.status_code, gone.headers["location"]) == (303, ada.owner.path)
    assert "The token porch is revoked." in ada.page()
    assert "The token porch is revoked." not in ada.page()
    assert ada.publishes(rotated, "porch/lamp") == 401
    done = [
        (one["action"], one["actor"], one["channel"], one["address"])
        for one in rows.audit(ada.owner.name)
        if one["target"] == f"{ada.owner.name}/{token_id}"
    ]
    by = (f"owner {ada.owner.email}", "account", "127.0.0.1")
    actions = ["token.create", "token.rotate", "token.revoke"]
    assert done == [(action, *by) for action in actions]


def test_no_secret_is_in_the_audit_log_or_in_a_log(ada: Signed, rows: Registry) -> None:
    token = ada.make("kept from logs")
    found = str(rows.audit(ada.owner.name))
    logs = [ada.shop.server.log.read_text(), ada.shop.jobs.log.read_text()]
    assert id_of(token) in found
    for text in (found, *logs):
        assert [one for one in ada.shop.secrets if one in text] == []
    for name, value in ada.person.client.cookies.items():
        assert token not in value, name


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"label": ""}, "required"),
        ({"label": "x" * 101}, "at most 100"),
        ({"label": "x\0"}, "Null characters"),
        ({"scopes": []}, "Choose at least one."),
        ({"scopes": ["admin"]}, "not one of the available choices"),
        ({"prefix": "somebody-else/"}, "prefix must begin with"),
        ({"expires_in_seconds": "-1"}, "not one of the available choices"),
    ],
)
def test_what_a_token_cannot_be_is_said_at_its_field(
    ada: Signed, rows: Registry, fields: dict[str, object], why: str
) -> None:
    before = rows.fingerprint()
    given = {"label": "porch", "scopes": ["publish"], **fields}
    answer = ada.person.send(ada.path("tokens/new"), **given)
    text = owners.text_of(answer, status=400)
    assert why in text.split('class="errorlist"')[1].split("</ul>")[0]
    assert rows.fingerprint() == before


def test_a_revoked_token_is_not_rotated(ada: Signed) -> None:
    token_id = id_of(ada.make("soon gone"))
    for _ in range(2):
        revoked = ada.person.send(ada.path(f"tokens/{token_id}/revoke"))
        assert revoked.status_code == 303
    rotate = ada.path(f"tokens/{token_id}/rotate")
    answer = ada.person.send(rotate, overlap_seconds="0")
    assert "was revoked" in owners.text_of(answer, status=409)


GETS = ("", "/delete", "/tokens/new", "/tokens/{id}/rotate", "/tokens/{id}/revoke")
POSTS = GETS[1:]
FIELDS = {"label": "x", "scopes": ["publish"], "overlap_seconds": "0"}


def test_what_is_anothers_is_answered_like_what_does_not_exist(
    ada: Signed, eve: Signed, rows: Registry
) -> None:
    token_id = id_of(eve.owner.token)
    before = rows.fingerprint()
    for rest in GETS:
        answers = []
        for name in (eve.owner.name, "no-such-name", "x%00y", "é"):
            path = f"{ACCOUNT}/namespaces/{name}{rest.format(id=token_id)}"
            answers.append(ada.person.get(path))
            if rest in POSTS:
                fields = {**FIELDS, "typed": eve.owner.name}
                answers.append(ada.person.send(path, **fields))
        texts = {owners.text_of(one, status=404) for one in answers}
        assert len(texts) == 1
        assert "There is no such namespace." in texts.pop()
    receipts = [
        ada.person.get(f"{ACCOUNT}/receipts/{one}")
        for one in (eve.owner.bought.id, "pur_nobody", "x%00y")
    ]
    assert len({owners.text_of(one, status=404) for one in receipts}) == 1
    assert rows.fingerprint() == before
    assert eve.publishes(eve.owner.token) == 200


def test_a_token_of_another_namespace_is_not_found_in_ones_own(
    ada: Signed, eve: Signed, rows: Registry
) -> None:
    before = rows.fingerprint()
    for token_id in (id_of(eve.owner.token), "nobody", "x%00y"):
        for what in ("rotate", "revoke"):
            path = ada.path(f"tokens/{token_id}/{what}")
            assert "has no such token" in ada.person.page(path, status=404)
            answer = ada.person.send(path, **FIELDS)
            assert "has no such token" in owners.text_of(answer, status=404)
    assert rows.fingerprint() == before


def test_who_is_not_signed_in_sees_and_changes_nothing(
    ada: Signed, rows: Registry
) -> None:
    token_id = id_of(ada.owner.token)
    before = rows.fingerprint()
    with owners.browser(ada.shop.base_url) as stranger:
        for rest in GETS:
            path = ada.owner.path + rest.format(id=token_id)
            answer = stranger.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, ACCOUNT)
            assert answer.text == ""
            if rest in POSTS:
                sent = stranger.send(path, **FIELDS, typed=ada.owner.name)
                assert "Sign in first" in owners.text_of(sent, status=403)
        answer = stranger.get(ada.owner.receipt)
        assert (answer.status_code, answer.text) == (303, "")
    assert rows.fingerprint() == before


def test_of_a_suspended_namespace_tokens_are_revoked_but_not_made(
    brief: Signed, rows: Registry
) -> None:
    rows.do(
        "UPDATE namespaces_namespace SET suspended_because = 'It floods the <log>.'"
        " WHERE name = %s",
        brief.owner.name,
    )
    rows.suspend(brief.owner.name)
    for page in (brief.page(), brief.person.page(ACCOUNT)):
        assert "It floods the <log>." in page
        assert "suspended" in page
    token_id = id_of(brief.owner.token)
    for rest in ("tokens/new", f"tokens/{token_id}/rotate"):
        asked = brief.person.page(brief.path(rest))
        assert "It floods the <log>." in asked
        assert "<form" not in asked.split("<main")[1]
        before = rows.fingerprint()
        refused = brief.person.send(brief.path(rest), **FIELDS)
        assert "It floods the <log>." in owners.text_of(refused, status=403)
        assert rows.fingerprint() == before
    revoked = brief.person.send(brief.path(f"tokens/{token_id}/revoke"))
    assert revoked.status_code == 303
    assert "revoked" in brief.page()


def test_a_deleted_namespace_is_gone_and_its_receipt_stays(
    brief: Signed, rows: Registry
) -> None:
    delete = brief.path("delete")
    assert "cannot be undone" in brief.person.page(delete)
    for typed in ("", "another", brief.owner.name.upper()):
        answer = brief.person.send(delete, typed=typed)
        assert 'class="errorlist"' in owners.text_of(answer, status=400)
    assert brief.publishes(brief.owner.token) == 200
    answer = brief.person.send(delete, typed=brief.owner.name)
    assert (answer.status_code, answer.headers["location"]) == (303, ACCOUNT)
    overview = brief.person.page(ACCOUNT)
    assert f"{brief.owner.name} is deleted." in overview
    assert "You own no namespace any more." in overview
    assert brief.owner.path not in overview
    assert brief.publishes(brief.owner.token) == 401
    for rest in GETS:
        path = brief.owner.path + rest.format(id=id_of(brief.owner.token))
        assert "no such namespace" in brief.person.page(path, status=404)
    assert brief.owner.name in brief.person.page(brief.owner.receipt)
    entry = rows.audit(brief.owner.name)[-1]
    assert entry["action"] == "namespace.delete"
    assert entry["actor"] == f"owner {brief.owner.email}"
