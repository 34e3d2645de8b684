"""The pages in a real browser: they work, fit a phone, load nothing from elsewhere."""

import httpx
from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD, USER
from tests.support.client import event
from tests.support.servers import Server

EVIL = (
    "</pre><script>document.title = 'broken into'</script><img src=x onerror=alert(1)>"
)


def publish(server: Server, entity_id: str, **properties: object) -> None:
    answer = httpx.post(
        f"{server.base_url}/api/events", json=event(entity_id, properties)
    )
    assert answer.status_code == 200


def sign_in(page: Page, server: Server) -> None:
    page.goto(f"{server.base_url}/admin/")
    page.get_by_label("Username").fill(USER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin/")


def fits(page: Page) -> bool:
    """Whether nothing of the page lies beside the window."""
    overhang: int = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return overhang <= 0


def test_the_first_page(browser_page: Page, site: Server) -> None:
    page = browser_page
    expect(page.get_by_role("heading", level=1)).to_contain_text("state of the world")
    expect(page.get_by_text("Working", exact=True)).to_be_visible()
    expect(page.get_by_text(f"curl {site.base_url}/api/events")).to_be_visible()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy this command").last.click()
    expect(page.get_by_text("Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"curl {site.base_url}/api/state/entities/home/kitchen"
    assert fits(page)


def test_the_first_page_can_be_used_without_a_mouse(browser_page: Page) -> None:
    page = browser_page
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    link = page.get_by_role("link", name="API docs")
    expect(link).to_be_focused()
    assert link.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"


def test_the_documentation(browser_page: Page, site: Server) -> None:
    page = browser_page
    page.get_by_role("link", name="API docs").click()
    expect(page.get_by_role("heading", name="Flux")).to_be_visible()
    health = page.locator(".opblock", has_text="/api/health")
    health.locator(".opblock-summary-control").first.click()
    health.get_by_role("button", name="Try it out").click()
    health.get_by_role("button", name="Execute").click()
    answer = health.locator(".live-responses-table")
    expect(answer).to_contain_text('"status": "ok"')


def test_from_the_list_of_entities_to_an_event(
    browser_page: Page, site: Server
) -> None:
    page = browser_page
    entity_id = f"browser/{EVIL}"
    publish(site, entity_id, note=EVIL, price=1)
    sign_in(page, site)
    expect(page.locator("h1")).to_contain_text("Overview")
    page.locator("#content").get_by_role("link", name="Entities").click()
    page.get_by_label("Id", exact=True).fill("browser/")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("link", name=entity_id, exact=True)).to_be_visible()
    assert fits(page)
    page.get_by_role("link", name=entity_id, exact=True).click()
    expect(page.get_by_role("heading", name=entity_id, exact=True)).to_be_visible()
    expect(page.locator("pre")).to_contain_text('"price": 1')
    assert fits(page)
    page.locator("tbody .flux-number a").first.click()
    expect(page.locator("pre")).to_contain_text('"entity_id": "browser/')
    assert fits(page)
    page.get_by_role("link", name="The log from here").click()
    expect(page.locator("tbody tr").first).to_contain_text(entity_id)
    assert fits(page)
    assert "broken into" not in page.title()


def test_the_accounts(browser_page: Page, site: Server) -> None:
    page = browser_page
    sign_in(page, site)
    page.goto(f"{site.base_url}/admin/auth/user/")
    page.get_by_role("link", name=USER, exact=True).first.click()
    expect(page.get_by_label("Username")).to_have_value(USER)
    assert fits(page)
