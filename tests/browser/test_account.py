"""An owner's account, in a real browser: in by a mailed link, tokens, the end of a
namespace; with the keyboard, without JavaScript, and for everyone, as far as axe can
tell."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import watched
from tests.browser.test_pages import fits
from tests.support import axe, owners
from tests.support.client import event
from tests.support.owners import ACCOUNT, Owner
from tests.support.post import Post, link_in
from tests.support.shop import DATABASE, Shop
from tests.support.tenants import bearer, registry_of

# As long as one may be, and nowhere to break it.
LABEL = "porch" + "h" * 95


@pytest.fixture
def owner(demo_shop: Shop) -> Owner:
    with registry_of(DATABASE) as rows:
        rows.do("DELETE FROM namespaces_attempt")
    return owners.new_owner(demo_shop)


def is_fine(page: Page) -> None:
    page.wait_for_load_state()  # with its stylesheet
    assert fits(page), page.url
    assert axe.faults(page) == []


def mailed(page: Page, post: Post, email: str) -> str:
    """Asks for a link by the page, and finds it in the mail."""
    before = len(post.to(email))
    page.get_by_label("E-mail address").fill(email)
    page.get_by_role("button", name="Send me a link").click()
    expect(page.get_by_text("a link is on its way")).to_be_visible()
    return link_in(post.wait_for(email, count=before + 1))


def sign_in(page: Page, shop: Shop, post: Post, owner: Owner) -> None:
    page.goto(f"{shop.base_url}{ACCOUNT}")
    page.goto(mailed(page, post, owner.email))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**{ACCOUNT}")


def copied(page: Page) -> str:
    """The token that the page shows, by its button."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    shown = page.locator("pre.token code").inner_text()
    page.get_by_role("button", name="Copy the token").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == shown
    return shown


def publishes(shop: Shop, owner: Owner, token: str) -> int:
    body = event(f"{owner.name}/kitchen", {"t": 1})
    answer = shop.api.post("/api/events", body, authorization=bearer(token))
    status: int = answer.status
    return status


def test_an_owner_comes_in_by_a_mailed_link_and_goes(
    shop_page: Page, shop_post: Post, owner: Owner
) -> None:
    page = shop_page
    page.get_by_role("link", name="Account").click()
    is_fine(page)
    link = mailed(page, shop_post, owner.email)
    is_fine(page)
    page.goto(link)
    expect(page.get_by_role("heading", level=1)).to_contain_text("…@example.org?")
    is_fine(page)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text(owner.email)).to_be_visible()
    is_fine(page)
    page.get_by_role("link", name="Receipt").click()
    expect(page.get_by_text("9.00 USD")).to_be_visible()
    is_fine(page)
    page.get_by_role("link", name="Your account").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()


def test_an_owner_makes_rotates_and_revokes_a_token(
    shop_page: Page, demo_shop: Shop, shop_post: Post, owner: Owner
) -> None:
    page = shop_page
    sign_in(page, demo_shop, shop_post, owner)
    page.get_by_role("link", name=owner.name).click()
    is_fine(page)
    page.get_by_role("link", name="New token").click()
    is_fine(page)
    page.get_by_label("Label").fill(LABEL)
    page.get_by_role("button", name="Make it").click()
    token = copied(page)
    is_fine(page)
    assert publishes(demo_shop, owner, token) == 200
    back_from_token(page, token)
    is_fine(page)
    rotated = rotate(page)
    assert publishes(demo_shop, owner, rotated) == 200
    assert publishes(demo_shop, owner, token) == 401
    back_from_token(page, rotated)
    page.get_by_role("link", name=f"Revoke {LABEL}").click()
    is_fine(page)
    page.get_by_role("button", name=f"Revoke {LABEL}").click()
    expect(page.get_by_text(f"The token {LABEL} is revoked.")).to_be_visible()
    is_fine(page)
    assert publishes(demo_shop, owner, rotated) == 401


def back_from_token(page: Page, token: str) -> None:
    page.get_by_role("link", name="I have it").click()
    page.wait_for_url("**/account/namespaces/*")
    assert token not in page.content()


def rotate(page: Page, label: str = LABEL) -> str:
    """The new secret; the old one ends."""
    page.get_by_role("link", name=f"Rotate {label}").click()
    is_fine(page)
    page.get_by_label("The secret it has now works for").select_option(
        "no longer: it ends now"
    )
    page.get_by_role("button", name=f"Rotate {label}").click()
    return copied(page)


def test_an_owner_deletes_a_namespace(
    shop_page: Page, demo_shop: Shop, shop_post: Post, owner: Owner
) -> None:
    page = shop_page
    sign_in(page, demo_shop, shop_post, owner)
    page.get_by_role("link", name=owner.name).click()
    page.get_by_role("link", name=f"Delete {owner.name}").click()
    is_fine(page)
    page.get_by_label("Type its name").fill(owner.name)
    page.get_by_role("button", name="for ever").click()
    expect(page.get_by_text(f"{owner.name} is deleted.")).to_be_visible()
    expect(page.get_by_text("You own no namespace any more.")).to_be_visible()
    assert publishes(demo_shop, owner, owner.token) == 401
    is_fine(page)


def test_a_suspended_namespace_says_why_and_makes_no_token(
    shop_page: Page, demo_shop: Shop, shop_post: Post, owner: Owner
) -> None:
    page = shop_page
    sign_in(page, demo_shop, shop_post, owner)
    with registry_of(DATABASE) as rows:
        rows.do(
            "UPDATE namespaces_namespace SET suspended_because = 'It floods the log.'"
            " WHERE name = %s",
            owner.name,
        )
        rows.suspend(owner.name)
    page.reload()
    expect(page.get_by_text("It floods the log.")).to_be_visible()
    is_fine(page)
    page.get_by_role("link", name=owner.name).click()
    expect(page.get_by_text("It floods the log.")).to_be_visible()
    expect(page.get_by_role("link", name="New token")).to_have_count(0)
    expect(page.get_by_role("link", name="Rotate")).to_have_count(0)
    is_fine(page)


def test_who_follows_a_mail_of_an_open_session_gets_back_to_it(
    shop_page: Page, demo_shop: Shop, shop_post: Post, owner: Owner
) -> None:
    """From another site the browser sends no cookie along, so it looks signed out."""
    page = shop_page
    sign_in(page, demo_shop, shop_post, owner)
    page.goto(f"data:text/html,<a href='{demo_shop.base_url}{ACCOUNT}'>A mail</a>")
    page.get_by_role("link", name="A mail").click()
    expect(page.get_by_role("button", name="Send me a link")).to_be_visible()
    is_fine(page)
    page.get_by_role("link", name="Continue to your account").click()
    expect(page.get_by_text(owner.email)).to_be_visible()


def test_an_account_is_run_with_the_keyboard_alone(
    shop_page: Page, demo_shop: Shop, shop_post: Post, owner: Owner
) -> None:
    page = shop_page
    page.goto(f"{demo_shop.base_url}{ACCOUNT}")
    go_to(page, "E-mail address")
    page.keyboard.type(owner.email)
    page.keyboard.press("Enter")
    page.wait_for_url("**/link-sent")
    page.goto(link_in(shop_post.wait_for(owner.email, count=2)))
    go_to(page, "Sign in")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{ACCOUNT}")
    go_to(page, owner.name)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{owner.name}")
    go_to(page, "New token")
    page.keyboard.press("Enter")
    page.wait_for_url("**/new")
    go_to(page, "Label")
    page.keyboard.type("by keyboard")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")  # it may not publish …
    page.keyboard.press("Tab")
    page.keyboard.press("Space")  # … but delete
    go_to(page, "Make it")
    page.keyboard.press("Enter")
    facts = page.locator("dl div", has=page.get_by_text("It may", exact=True))
    expect(facts.locator("dd")).to_have_text("delete")


def go_to(page: Page, name: str) -> None:
    """Presses Tab until what has this name has the focus, which is seen."""
    for _ in range(60):
        page.keyboard.press("Tab")
        found = page.evaluate(
            "(() => { const at = document.activeElement;"
            " return at.ariaLabel || at.labels?.[0]?.textContent.trim()"
            " || at.textContent.trim(); })()"
        )
        if found.startswith(name):
            break
    else:
        pytest.fail(f"the keyboard does not reach {name}")
    style = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(style) == "solid"


@pytest.fixture
def plain_page(context: BrowserContext, demo_shop: Shop) -> Iterator[Page]:
    """A window in which no script runs."""
    with watched(context, demo_shop.base_url) as page:
        session = context.new_cdp_session(page)
        session.send("Emulation.setScriptExecutionDisabled", {"value": True})
        yield page


def test_an_account_is_run_without_a_script(
    plain_page: Page, demo_shop: Shop, shop_post: Post, owner: Owner
) -> None:
    page = plain_page
    sign_in(page, demo_shop, shop_post, owner)
    page.get_by_role("link", name=owner.name).click()
    page.get_by_role("link", name="Rotate first token").click()
    page.get_by_role("button", name="Rotate first token").click()
    rotated = page.locator("#token").inner_text()
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    assert publishes(demo_shop, owner, rotated) == 200
