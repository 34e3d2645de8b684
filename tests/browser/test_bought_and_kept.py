"""The whole of it, as one person does it: a namespace is bought, its token copied and
used with flux.sh, and replaced by who comes in by the link that was mailed."""

from playwright.sync_api import Page

from tests.browser.test_account import copied, mailed, rotate
from tests.browser.test_register import SHOWN
from tests.support.post import Post
from tests.support.shop import Shop
from tests.support.skill import Ended, Skill
from tests.support.tenants import fresh_name


def test_a_namespace_is_bought_used_and_its_token_replaced(
    shop_page: Page, demo_shop: Shop, shop_post: Post
) -> None:
    page, email = shop_page, f"{fresh_name('buyer')}@example.org"
    page.get_by_role("link", name="Register a namespace").click()
    page.get_by_label("Your e-mail address").fill(email)
    page.get_by_role("button", name="Continue to payment").click()
    page.get_by_role("button", name="Pay (no money moves)").click()
    page.get_by_role("button", name=SHOWN).click()
    name, first = page.locator("h1 .name").inner_text(), copied(page)
    assert publish(demo_shop, name, first).status == 0
    page.get_by_role("link", name="Account", exact=True).click()
    page.goto(mailed(page, shop_post, email))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name=name).click()
    second = rotate(page, "first token")
    refused = publish(demo_shop, name, first)
    assert refused.status != 0
    assert "not usable" in refused.err
    assert publish(demo_shop, name, second).status == 0


def publish(shop: Shop, name: str, token: str) -> Ended:
    properties = '{"temperature": 21.5, "window": "open"}'
    skill = Skill(shop.base_url).given(FLUX_TOKEN=token)
    return skill.flux("publish", "sensors", "mine", f"{name}/kitchen", properties)
