"""A namespace is bought in a real browser: by mouse, by keyboard and without scripts.

Each page fits its window, and axe finds no serious fault: in light colours on a phone,
in dark ones on a desktop.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import PHONE
from tests.browser.test_pages import fits
from tests.support import axe
from tests.support.client import event
from tests.support.shop import Shop
from tests.support.tenants import Registry, bearer, fresh_name, registry_of

SHOWN = "Show my token"


@pytest.fixture
def rows(shop_database: str) -> Iterator[Registry]:
    with registry_of(shop_database) as opened:
        yield opened


def is_fine(page: Page) -> bool:
    """Whether the page fits and has no serious fault."""
    size = page.viewport_size
    is_phone = size is not None and size["width"] == PHONE
    page.emulate_media(color_scheme="light" if is_phone else "dark")
    assert axe.faults(page) == []
    return fits(page)


def fill(page: Page, shop: Shop) -> None:
    """Fills in the form, whose button comes next."""
    page.goto(f"{shop.base_url}/register")
    email = f"{fresh_name('buyer')}@example.org"
    page.get_by_label("Your e-mail address").fill(email)


def begin(page: Page, shop: Shop) -> str:
    """As far as the demo's checkout; the purchase's id."""
    fill(page, shop)
    page.get_by_role("button", name="Continue to payment").click()
    page.wait_for_url("**/register/demo/*")
    return page.url.rpartition("/")[2]


def stay(page: Page) -> None:
    """Pages no longer go on by themselves, so that a test can look at them."""

    def hold(route: Route) -> None:
        answer = route.fetch(max_redirects=0)
        kept = {key: text for key, text in answer.headers.items() if key != "refresh"}
        # Chromium complains of any page that is a refusal.
        status = 200 if answer.status >= 400 else answer.status
        route.fulfill(response=answer, headers=kept, status=status)

    page.route("**/register*/**", hold)
    page.route("**/register*", hold)


def test_a_namespace_is_bought_and_its_token_copied(
    shop_page: Page, demo_shop: Shop
) -> None:
    page = shop_page
    page.get_by_role("link", name="Register a namespace").click()
    assert is_fine(page)
    begin(page, demo_shop)
    expect(page.get_by_text("No money moves here")).to_be_visible()
    assert is_fine(page)
    page.get_by_role("button", name="Pay (no money moves)").click()
    button = page.get_by_role("button", name=SHOWN)
    expect(button).to_be_visible()
    name = page.locator("h1 .name").inner_text()
    assert is_fine(page)
    button.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Your token for {name}")
    assert is_fine(page)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the token").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    token = page.evaluate("navigator.clipboard.readText()")
    body = event(f"{name}/kitchen", {"temperature": 21.5})
    published = demo_shop.api.post("/api/events", body, authorization=bearer(token))
    assert published.status == 200


def test_a_namespace_is_bought_by_keyboard_alone(
    shop_page: Page, demo_shop: Shop
) -> None:
    page = shop_page
    fill(page, demo_shop)
    page.keyboard.press("Enter")
    page.wait_for_url("**/register/demo/*")
    _press(page, "Pay (no money moves)")
    expect(page.get_by_role("button", name=SHOWN)).to_be_visible()
    _press(page, SHOWN)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Your token for")
    _press(page, "Copy the token")


def _press(page: Page, name: str) -> None:
    """Goes to a button with the tabulator, sees that it has the focus, and presses."""
    button = page.get_by_role("button", name=name, exact=True)
    for _ in range(20):
        page.keyboard.press("Tab")
        if button.evaluate("element => element === document.activeElement"):
            break
    expect(button).to_be_focused()
    assert button.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
    page.keyboard.press("Enter")


def test_a_namespace_is_bought_without_scripts(
    shop_page: Page, demo_shop: Shop
) -> None:
    page = shop_page
    tools = page.context.new_cdp_session(page)
    tools.send("Emulation.setScriptExecutionDisabled", {"value": True})
    begin(page, demo_shop)
    page.get_by_role("button", name="Pay (no money moves)").click()
    page.get_by_role("button", name=SHOWN).click()
    expect(page.locator(".token code")).to_contain_text("flux_")
    expect(page.get_by_role("button", name="Copy the token")).to_have_count(0)


def test_who_turns_back_finds_the_way_on(shop_page: Page, demo_shop: Shop) -> None:
    page = shop_page
    begin(page, demo_shop)
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("status")).to_contain_text("no money moved")
    assert is_fine(page)
    page.get_by_role("link", name="Go back to its payment").click()
    page.wait_for_url("**/register/demo/*")
    page.go_back()  # not to a page that would lead here again
    expect(page.get_by_label("Your e-mail address")).to_be_visible()


def test_what_is_no_address_is_said_at_its_field(
    shop_page: Page, demo_shop: Shop
) -> None:
    page = shop_page
    stay(page)
    page.goto(f"{demo_shop.base_url}/register")
    field = page.get_by_label("Your e-mail address")
    field.fill("ada@example")  # what Chromium takes for one
    page.keyboard.press("Enter")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(
        "This is no e-mail address. One looks like you@example.org."
        " For the receipt, and to sign in to your account."
    )
    expect(field).to_have_value("ada@example")
    expect(field).to_be_focused()
    assert is_fine(page)


def test_every_page_of_a_purchase_is_fine(
    shop_page: Page, demo_shop: Shop, rows: Registry
) -> None:
    page = shop_page
    purchase_id = begin(page, demo_shop)
    stay(page)
    done = f"{demo_shop.base_url}/register/done"

    def look(values: str, heading: str, address: str = done) -> None:
        rows.do(
            f"UPDATE namespaces_purchase SET {values} WHERE id = %s",
            purchase_id,
        )
        page.goto(address)
        expect(page.get_by_role("heading", level=1)).to_contain_text(heading)
        assert is_fine(page)

    checkout = f"{demo_shop.base_url}/register/checkout?purchase={purchase_id}"
    look("trouble = ''", "On to the payment", checkout)
    look("trouble = 'Something is odd.'", "Waiting for the payment")
    look("state = 'paid'", "Your namespace is being made", f"{done}?since=1")
    look("state = 'expired'", "was not paid in time")
    demo = f"{demo_shop.base_url}/register/demo/{purchase_id}"
    look("state = 'expired'", "This checkout is closed", demo)
    look("state = 'refunded'", "was refunded")
    page.context.clear_cookies()
    look("state = 'refunded'", "Did you just pay?")
    look("state = 'refunded'", "Nothing here", f"{demo}-x")


def test_a_token_that_was_shown_leaves_a_page_that_helps(
    shop_page: Page, demo_shop: Shop, rows: Registry
) -> None:
    page = shop_page
    purchase_id = begin(page, demo_shop)
    page.get_by_role("button", name="Pay (no money moves)").click()
    page.get_by_role("button", name=SHOWN).click()
    first = page.locator(".token code").inner_text()
    page.goto(f"{demo_shop.base_url}/register/done")
    assert is_fine(page)
    page.get_by_role("button", name="Show a new token").click()
    assert page.locator(".token code").inner_text() != first
    rows.do(
        "UPDATE namespaces_purchase SET claimed_at = now() - interval '2 days'"
        " WHERE id = %s",
        purchase_id,
    )
    page.goto(f"{demo_shop.base_url}/register/done")
    expect(page.get_by_role("link", name="Go to my account")).to_be_visible()
    expect(page.get_by_role("button")).to_have_count(0)
    assert is_fine(page)
