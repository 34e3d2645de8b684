"""Purchases in the admin, in a real browser: found, understood, and given back; for
everyone, as far as axe can tell."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from flux_project.embedded import EmbeddedPostgres
from tests.browser.conftest import PASSWORD
from tests.browser.test_pages import fits
from tests.support import axe
from tests.support.servers import Server, make_database, manage, serve

DATABASE = "flux_purchases_in_a_browser"
OPERATOR = "olga"
_WORLD = f"""
from datetime import timedelta
from django.contrib.auth.models import User
from django.utils import timezone
from flux_project import roles
from namespaces import settling
from tests.support import purchases
roles.give(User.objects.create_user("{OPERATOR}", password="{PASSWORD}"), "operator")
for name in ("ada", "grace"):
    purchases.provisioned(name + "@example.org")
stuck = purchases.since(purchases.paid("joan@example.org"), minutes=9)
settling.note_trouble(stuck.id, "NoNameLeft: No name was found that nobody has had.")
for days, amount in ((0, 900), (1, 900), (35, 1800), (70, 2700), (200, 900)):
    purchases.sold(
        timezone.now() - timedelta(days=days), amount=amount, namespace=None,
        email="katherine@example.org", disputed_at=timezone.now() if days else None,
    )
"""


@pytest.fixture(scope="module")
def site(postgres: EmbeddedPostgres) -> Iterator[Server]:
    """A server that sells by the demo, and has sold; nothing does its jobs."""
    server = serve(
        make_database(postgres, DATABASE),
        FLUX_AUTH_ENABLED="true",
        FLUX_BILLING="demo",
        DEBUG="true",
    )
    done = manage("shell", "--command", _WORLD, env=server.env)
    assert done.returncode == 0, done.stderr
    yield server
    server.stop()


def sign_in(page: Page, server: Server) -> None:
    page.goto(f"{server.base_url}/admin/")
    page.get_by_label("Username").fill(OPERATOR)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin/")


def is_fine(page: Page) -> bool:
    """Whether it fits the window, and nobody is kept from using what is ours of it."""
    assert fits(page)
    assert axe.faults(page) == []
    return True


def test_a_purchase_is_found_and_given_back(browser_page: Page, site: Server) -> None:
    page = browser_page
    sign_in(page, site)
    expect(page.get_by_text("1 paid purchase has no namespace yet")).to_be_visible()
    assert is_fine(page)
    page.get_by_role("link", name="Look at it").click()
    expect(page.locator("tbody tr", has_text="joan@example.org")).to_be_visible()
    assert is_fine(page)
    page.goto(f"{site.base_url}/admin/namespaces/purchase/?state=provisioned")
    row = page.locator("tbody tr").first
    email = row.locator("[data-label=E-mail]").inner_text()
    row.get_by_role("link", name="The purchase").click()
    expect(page.get_by_text("provisioned: its namespace was made")).to_be_visible()
    assert is_fine(page)
    page.get_by_role("link", name="Refund").click()
    expect(page.get_by_text(f"9.00 USD goes back to {email}")).to_be_visible()
    assert is_fine(page)
    page.get_by_label("Reason").fill("bought by mistake")
    page.get_by_role("button", name="Refund 9.00 USD").click()
    expect(page.get_by_text("9.00 USD was given back.")).to_be_visible()
    assert is_fine(page)
    page.get_by_role("link", name="All purchases").click()
    page.get_by_role("link", name="Revenue by the month").click()
    expect(page.get_by_role("img", name="stripe, EUR")).to_be_visible()
    assert is_fine(page)
