"""A namespace is paid for on another site, as Stripe's checkout is, in a real browser.

The way there and back crosses sites: what a form may lead to, and which cookies come
along, is decided by the browser, so no other test can tell.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from flux_project.embedded import EmbeddedPostgres
from tests.browser.conftest import watched
from tests.support.client import event
from tests.support.shop import Shop, make_database, open_shop
from tests.support.stripe_fake import StripeFake
from tests.support.stripe_fake import running as running_stripe
from tests.support.tenants import bearer


@pytest.fixture(scope="module")
def till() -> Iterator[StripeFake]:
    with running_stripe() as fake:
        yield fake


@pytest.fixture(scope="module")
def shop(postgres: EmbeddedPostgres, till: StripeFake) -> Iterator[Shop]:
    database = make_database(postgres, "flux_stripe_pages")
    settings = {"FLUX_PRICE": "9.00 EUR", **till.settings}
    with open_shop(database, "stripe", **settings) as opened:
        till.deliver_all_to(f"{opened.base_url}/api/billing/stripe/webhook")
        yield opened


@pytest.fixture
def page(context: BrowserContext, shop: Shop, till: StripeFake) -> Iterator[Page]:
    """The shop under a name of its own, so that the two are different sites."""
    site = shop.base_url.replace("127.0.0.1", "localhost")
    with watched(context, site, till.url) as opened:
        opened.goto(f"{site}/register")
        yield opened


def begin(page: Page, till: StripeFake) -> None:
    page.get_by_label("Your e-mail address").fill("ada@example.org")
    page.get_by_role("button", name="Continue to payment").click()
    page.wait_for_url(f"{till.url}/**")


def test_it_is_paid_elsewhere_and_its_token_works(
    page: Page, till: StripeFake, shop: Shop
) -> None:
    begin(page, till)
    page.get_by_role("button", name="Pay", exact=True).click()
    page.get_by_role("button", name="Show my token").click()
    token = page.locator("pre.token code").inner_text()
    name = page.locator("h1 .name").inner_text()
    answer = shop.api.post(
        "/api/events", event(f"{name}/a", {"x": 1}), authorization=bearer(token)
    )
    assert answer.status == 200
    till.wait_until_delivered()


def test_who_thinks_better_of_it_comes_back(page: Page, till: StripeFake) -> None:
    begin(page, till)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("no money moved")).to_be_visible()
    begin(page, till)
