"""The way into an account and out of it: by a link that works once, whoever asks."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support import owners
from tests.support.client import Api
from tests.support.owners import ACCOUNT, SIGN_IN, Browser, Owner, mailed_link
from tests.support.post import Post, text_of
from tests.support.servers import Server
from tests.support.shop import DATABASE, Shop
from tests.support.tenants import Registry, registry_of

LINK = f"{ACCOUNT}/link"


@pytest.fixture(scope="module")
def rows(demo_shop: Shop) -> Iterator[Registry]:
    with registry_of(DATABASE) as opened:
        yield opened


@pytest.fixture(scope="module")
def ada(demo_shop: Shop) -> Owner:
    return owners.new_owner(demo_shop)


@pytest.fixture(autouse=True)
def nobody_asked_before(rows: Registry) -> None:
    """All tests come from one network, and may ask for more links than one may."""
    rows.do("DELETE FROM namespaces_attempt")


@pytest.fixture
def person(demo_shop: Shop) -> Iterator[Browser]:
    with owners.browser(demo_shop.base_url) as opened:
        yield opened


def test_a_mailed_link_signs_in_and_works_once(
    person: Browser, ada: Owner, shop_post: Post, demo_shop: Shop
) -> None:
    link = mailed_link(person, shop_post, ada.email)
    assert "15 minutes" in text_of(shop_post.to(ada.email)[-1])
    for _ in range(2):  # a mail scanner opens it too, and does not use it up
        assert f"{ada.email[:1]}…@example.org?" in person.page(owners.path_of(link))
    assert ada.email not in person.shown[-1]
    person.enter(link)
    page = person.page(ACCOUNT)
    assert ada.email in page
    assert ada.name in page
    again = person.send(SIGN_IN, token=owners.token_of(link))
    assert "you are signed in already" in owners.text_of(again, status=400)
    with owners.browser(demo_shop.base_url) as other:
        assert "was used already" in other.page(owners.path_of(link), status=400)
        assert "Send me a link" in other.page(ACCOUNT)


def test_of_two_who_use_a_link_at_once_one_comes_in(
    person: Browser, ada: Owner, shop_post: Post, demo_shop: Shop
) -> None:
    token = owners.token_of(mailed_link(person, shop_post, ada.email))
    with (
        owners.browser(demo_shop.base_url) as first,
        owners.browser(demo_shop.base_url) as second,
        ThreadPoolExecutor(2) as both,
    ):
        for one in (first, second):
            one.get(ACCOUNT)
        used = list(
            both.map(lambda one: one.send(SIGN_IN, token=token), (first, second))
        )
        assert sorted(one.status_code for one in used) == [303, 400]
        came_in = [ada.name in one.page(ACCOUNT) for one in (first, second)]
        assert sorted(came_in) == [False, True]


@pytest.mark.parametrize("change", ["last", "first", "owner", "short", "long", "text"])
def test_a_link_that_was_tampered_with_signs_nobody_in(
    person: Browser, ada: Owner, shop_post: Post, change: str
) -> None:
    token = owners.token_of(mailed_link(person, shop_post, ada.email))
    tampered = {
        # The last character but one: of the last, some bits say nothing.
        "last": token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1],
        "first": ("_" if token[0] != "_" else "A") + token[1:],
        "owner": "A" * 10 + "B" + token[11:],
        "short": token[:-4],
        "long": token + "A" * 200,
        "text": "%00é" + token,
    }[change]
    assert "does not work" in person.page(f"{SIGN_IN}?token={tampered}", status=400)
    answer = person.send(SIGN_IN, token=tampered)
    assert "does not work" in owners.text_of(answer, status=400)
    assert "Send me a link" in person.page(ACCOUNT)
    person.enter(f"{SIGN_IN}?token={token}")  # which it left alone


def test_who_is_unknown_gets_the_same_answer_and_no_mail(
    person: Browser, ada: Owner, shop_post: Post, rows: Registry
) -> None:
    nobody = "nobody-at-all@example.org"
    before = len(shop_post.to(ada.email))
    answers = []
    for email in (ada.email, nobody):
        rows.do("DELETE FROM namespaces_attempt")
        answer = person.send(LINK, email=email)
        answers.append((answer.status_code, answer.headers["location"], answer.text))
        stored = rows.rows("SELECT kind, key FROM namespaces_attempt ORDER BY id")
        assert stored == [
            ("link", f"{email} 127.0.0.1"),
            ("link to", email),
            ("link from", "127.0.0.1"),
        ]
    assert answers[0] == answers[1] == (303, f"{ACCOUNT}/link-sent", "")
    page = person.page(answers[0][1])
    assert "If this address owns a namespace here, a link is on its way" in page
    # The jobs are done in their order: when the next link is there, nobody's was done.
    shop_post.wait_for(ada.email, count=before + 1)
    mailed_link(person, shop_post, ada.email)
    assert shop_post.to(nobody) == []


def test_what_is_no_address_is_refused_at_its_field(person: Browser) -> None:
    for email in ("", "ada", "ada@", "a\nb@example.org", f"{'x' * 300}@example.org"):
        page = owners.text_of(person.send(LINK, email=email), status=400)
        assert 'aria-invalid="true"' in page
        assert "This is no e-mail address" in page


def test_a_mailbox_gets_five_links_an_hour_from_one_network(person: Browser) -> None:
    for _ in range(5):
        person.asks_for_link("nobody-at-all@example.org")
    answer = person.send(LINK, email="Nobody-at-ALL@example.org")
    assert "Too many sign-in links" in owners.text_of(answer, status=429)
    assert 0 < int(answer.headers["retry-after"]) <= 3_600
    person.asks_for_link("somebody-else@example.org")


def test_signing_in_gives_the_session_a_key_that_nobody_knew(
    person: Browser, ada: Owner, shop_post: Post
) -> None:
    chosen = "a-key-that-somebody-else-chose-0"
    person.client.cookies.set("sessionid", chosen, domain="127.0.0.1", path="/")
    person.enter(mailed_link(person, shop_post, ada.email))
    first = person.session_key
    assert first not in {None, chosen}
    secret = person.client.cookies["csrftoken"]
    person.enter(mailed_link(person, shop_post, ada.email))
    assert person.session_key != first
    assert person.client.cookies["csrftoken"] != secret
    with owners.browser(str(person.client.base_url)) as thief:
        thief.client.cookies.set("sessionid", str(first))
        assert "Send me a link" in thief.page(ACCOUNT)


def test_the_session_cookie_is_for_this_site_alone(
    person: Browser, ada: Owner, shop_post: Post
) -> None:
    link = mailed_link(person, shop_post, ada.email)
    page = person.get(owners.path_of(link))
    assert page.headers["referrer-policy"] == "same-origin"
    assert "no-store" in page.headers["cache-control"]
    assert "http" not in page.text.replace(str(person.client.base_url), "")
    answer = person.send(SIGN_IN, token=owners.token_of(link))
    cookies = answer.headers.get_list("set-cookie")
    (cookie,) = [one for one in cookies if one.startswith("sessionid=")]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Max-Age=36000" in cookie


def test_signing_out_ends_the_session_for_whoever_has_its_key(
    person: Browser, ada: Owner, shop_post: Post
) -> None:
    person.enter(mailed_link(person, shop_post, ada.email))
    key = str(person.session_key)
    answer = person.send(f"{ACCOUNT}/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, ACCOUNT)
    page = person.page(ACCOUNT)
    assert "You are signed out." in page
    assert "Send me a link" in page
    with owners.browser(str(person.client.base_url)) as thief:
        thief.client.cookies.set("sessionid", key)
        assert "Send me a link" in thief.page(ACCOUNT)


def test_who_comes_from_a_mail_is_told_how_to_go_on(person: Browser) -> None:
    from_a_mail = person.get(ACCOUNT, **{"Sec-Fetch-Site": "cross-site"})
    assert "Continue to your account" in from_a_mail.text
    from_here = person.get(ACCOUNT, **{"Sec-Fetch-Site": "same-origin"})
    assert "Continue to your account" not in from_here.text


def test_a_form_of_another_site_is_refused(
    person: Browser, ada: Owner, shop_post: Post
) -> None:
    link = mailed_link(person, shop_post, ada.email)
    person.enter(link)
    for path in (LINK, SIGN_IN, f"{ACCOUNT}/sign-out", f"{ada.path}/delete"):
        answer = person.client.post(path, data={"typed": ada.name, "email": ada.email})
        assert answer.status_code == 403
        assert "security token" in answer.text
    assert ada.name in person.page(ACCOUNT)


def test_an_owners_link_is_in_no_log(
    person: Browser, ada: Owner, shop_post: Post, demo_shop: Shop
) -> None:
    token = owners.token_of(mailed_link(person, shop_post, ada.email))
    person.page(f"{SIGN_IN}?token={token}x", status=400)
    person.get(f"{SIGN_IN}/no-such-page?token={token}")
    person.client.put(f"{SIGN_IN}?token={token}")
    person.enter(f"{SIGN_IN}?token={token}")
    for log in (demo_shop.server.log, demo_shop.jobs.log):
        text = log.read_text()
        assert token not in text
        assert ada.email not in text


def test_its_pages_take_their_methods_alone(person: Browser) -> None:
    head = person.client.head(ACCOUNT)
    assert (head.status_code, head.content) == (200, b"")
    secret = person.client.cookies["csrftoken"] if person.get(ACCOUNT) else ""
    for path, method, allowed in (
        (ACCOUNT, "POST", "GET, HEAD"),
        (LINK, "GET", "POST"),
        (f"{ACCOUNT}/sign-out", "GET", "POST"),
        (SIGN_IN, "DELETE", "GET, POST, HEAD"),
    ):
        headers = {"X-CSRFToken": secret}
        answer = person.client.request(method, path, headers=headers)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_in_open_mode_there_are_no_accounts(server: Server) -> None:
    api = Api(server.port)
    for path in (ACCOUNT, SIGN_IN, f"{ACCOUNT}/namespaces/x", f"{ACCOUNT}/receipts/x"):
        answer = api.get(path)
        assert answer.status == 404
        assert b"FLUX_AUTH_ENABLED" in answer.body
    api.close()
