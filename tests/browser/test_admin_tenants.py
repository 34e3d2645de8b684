"""Tenants run from the admin, in a real browser: a namespace from its name to its last
token, as an operator; what a viewer cannot do; and a lock-out."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from flux_project.embedded import EmbeddedPostgres
from tests.browser.conftest import PASSWORD
from tests.browser.test_pages import fits
from tests.support.client import event
from tests.support.servers import Server, make_database, manage, serve, wait_for

DATABASE = "flux_tenants_in_a_browser"
OPERATOR, VIEWER = "olga", "vera"
_ACCOUNTS = f"""
from django.contrib.auth.models import User
from flux_project import roles
for name, role in (("{OPERATOR}", "operator"), ("{VIEWER}", "viewer")):
    roles.give(User.objects.create_user(name, password="{PASSWORD}"), role)
"""


@pytest.fixture(scope="module")
def site(postgres: EmbeddedPostgres) -> Iterator[Server]:
    """A server in auth mode with a database of its own, whose limits are changed."""
    server = serve(make_database(postgres, DATABASE), FLUX_AUTH_ENABLED="true")
    done = manage("shell", "--command", _ACCOUNTS, env=server.env)
    assert done.returncode == 0, done.stderr
    yield server
    server.stop()


def sign_in(page: Page, server: Server, name: str) -> None:
    page.goto(f"{server.base_url}/admin/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin/")


def publish(server: Server, token: str, entity_id: str) -> int:
    answer = httpx.post(
        f"{server.base_url}/api/events",
        json=event(entity_id, {"t": 1}),
        headers={"Authorization": f"Bearer {token}"},
    )
    return answer.status_code


def wait_for_status(server: Server, token: str, entity_id: str, status: int) -> None:
    wait_for(
        lambda: publish(server, token, entity_id) == status,
        what=f"publishing to be answered {status}",
    )


def make_namespace(page: Page, server: Server) -> tuple[str, str]:
    """By the pages: (its name, which was proposed; its token, which was copied)."""
    page.goto(f"{server.base_url}/admin/namespaces/namespace/")
    page.get_by_role("link", name="New namespace").click()
    name = page.get_by_label("Name").input_value()
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", name)
    assert fits(page)
    page.get_by_role("button", name="Make it").click()
    return name, copied(page)


def copied(page: Page) -> str:
    """The token that the page shows, by its button."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    shown = page.locator("#token").inner_text()
    page.locator(".command", has=page.locator("#token")).get_by_role("button").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == shown
    assert fits(page)
    return shown


def open_namespace(page: Page, server: Server, name: str) -> None:
    page.goto(f"{server.base_url}/admin/namespaces/namespace/")
    page.get_by_role("textbox", name="Name").fill(name)
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name=name, exact=True).click()


def set_limit(page: Page, server: Server, events: int) -> None:
    page.goto(f"{server.base_url}/admin/namespaces/runtimeconfig/")
    page.get_by_label("Rate limit, events a minute").fill(str(events))
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Every process follows within a second")).to_be_visible()
    assert fits(page)


def revoke(page: Page, label: str) -> None:
    page.get_by_role("link", name=f"Revoke {label}").click()
    expect(page.get_by_text("cannot be undone")).to_be_visible()
    assert fits(page)
    page.get_by_role("button", name=f"Revoke {label}").click()
    expect(page.get_by_text(f"The token {label} is revoked.")).to_be_visible()


def facts(page: Page, name: str) -> str:
    tile = page.locator("dl div", has=page.get_by_text(name, exact=True))
    return tile.locator("dd").inner_text()


def test_an_operator_runs_a_namespace_from_its_name_to_its_end(
    browser_page: Page, site: Server
) -> None:
    page = browser_page
    sign_in(page, site, OPERATOR)
    name, token = make_namespace(page, site)
    expect(page.get_by_text(f"export FLUX_TOKEN={token}")).to_be_visible()
    assert publish(site, token, f"{name}/kitchen") == 200

    page.get_by_role("link", name="I have it").click()
    assert token not in page.content()

    def is_counted() -> bool:
        page.reload(wait_until="networkidle")  # nothing is broken off half-way
        return facts(page, "Events, last 24 h") == "1"

    wait_for(is_counted, what="the usage to appear")
    assert facts(page, "Entities") == "1"
    chart = page.get_by_role("img", name=re.compile("Events an hour"))
    expect(chart.locator(".flux-bar")).to_have_count(1)
    assert fits(page)

    for limit, status in ((2, 429), (10_000, 200)):
        set_limit(page, site, limit)
        wait_for_status(site, token, f"{name}/a", status)

    open_namespace(page, site, name)
    revoke(page, "first token")
    assert publish(site, token, f"{name}/kitchen") == 401

    page.get_by_role("link", name="All about it in the audit log").click()
    entries = page.locator("tbody tr")
    expect(entries).to_have_count(2)
    expect(entries.first).to_contain_text("token.revoke")
    expect(entries.first).to_contain_text(f"user {OPERATOR}")
    expect(entries.last).to_contain_text("namespace.create")
    page.get_by_role("link", name="Show all").click()
    change = page.locator("tbody tr", has_text="config.change").first
    expect(change).to_contain_text("2 → 10,000")
    assert token not in page.content()
    assert fits(page)


def test_tokens_are_made_narrow_and_rotated(browser_page: Page, site: Server) -> None:
    page = browser_page
    sign_in(page, site, OPERATOR)
    name, _ = make_namespace(page, site)
    open_namespace(page, site, name)
    page.get_by_role("link", name="New token").click()
    page.get_by_label("Label").fill("porch")
    page.get_by_label("Only ids that begin with").fill(f"{name}/porch/")
    page.get_by_label("It expires").select_option("in a week")
    assert fits(page)
    page.get_by_role("button", name="Make it").click()
    token = copied(page)
    assert publish(site, token, f"{name}/porch/lamp") == 200
    assert publish(site, token, f"{name}/kitchen") == 403
    open_namespace(page, site, name)
    page.get_by_role("link", name="Rotate porch").click()
    page.get_by_label("The secret it has now works for").select_option(
        "no longer: it ends now"
    )
    page.get_by_role("button", name="Rotate porch").click()
    rotated = copied(page)
    assert publish(site, rotated, f"{name}/porch/lamp") == 200
    assert publish(site, token, f"{name}/porch/lamp") == 401


def test_a_namespace_is_suspended_resumed_and_deleted(
    browser_page: Page, site: Server
) -> None:
    page = browser_page
    sign_in(page, site, OPERATOR)
    name, token = make_namespace(page, site)
    open_namespace(page, site, name)
    page.get_by_role("link", name="Suspend").click()
    page.get_by_label("Reason").fill("it floods the log")
    page.get_by_role("button", name=f"Suspend {name}").click()
    expect(page.get_by_text("Reason: it floods the log")).to_be_visible()
    assert publish(site, token, f"{name}/a") == 403
    assert fits(page)
    page.goto(f"{site.base_url}/admin/")
    expect(page.get_by_role("link", name=name, exact=True).first).to_be_visible()
    open_namespace(page, site, name)
    page.get_by_role("link", name="Resume").click()
    page.get_by_role("button", name=f"Resume {name}").click()
    expect(page.get_by_text(f"{name} is active again.")).to_be_visible()
    assert publish(site, token, f"{name}/a") == 200
    page.get_by_role("link", name="Delete").click()
    page.get_by_label("Type its name").fill(name)
    assert fits(page)
    page.get_by_role("button", name="for ever").click()
    expect(page.get_by_text("its name is never given again")).to_be_visible()
    assert publish(site, token, f"{name}/a") == 401


def test_a_viewer_cannot_do_what_an_operator_can(
    browser_page: Page, site: Server
) -> None:
    page = browser_page
    sign_in(page, site, OPERATOR)
    name, _ = make_namespace(page, site)
    page.context.clear_cookies()
    sign_in(page, site, VIEWER)
    page.goto(f"{site.base_url}/admin/namespaces/namespace/")
    expect(page.get_by_role("link", name="New namespace")).to_have_count(0)
    open_namespace(page, site, name)
    for link in ("Suspend", "Delete", "New token", re.compile("Rotate|Revoke")):
        expect(page.get_by_role("link", name=link)).to_have_count(0)
    expect(page.locator("tbody tr", has_text="first token")).to_be_visible()
    page.goto(f"{site.base_url}/admin/namespaces/runtimeconfig/")
    expect(page.get_by_label("Largest event, bytes")).to_be_disabled()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    space = f"{site.base_url}/admin/namespaces/namespace"
    # Asked beside the page, as a refusal would be an error on its console.
    for path in ("add", f"{name}/suspend", f"{name}/delete", f"{name}/tokens/add"):
        assert page.request.get(f"{space}/{path}/").status == 403
    assert page.request.get(f"{site.base_url}/admin/auth/user/").status == 403


def test_the_overview_keeps_itself_new(browser_page: Page, site: Server) -> None:
    page = browser_page
    sign_in(page, site, OPERATOR)
    name, token = make_namespace(page, site)
    page.goto(f"{site.base_url}/admin/")
    before = facts(page, "Last hour").replace(",", "")
    expect(page.get_by_role("img", name=re.compile("Events a minute"))).to_be_visible()
    assert fits(page)
    assert publish(site, token, f"{name}/a") == 200
    wait_for(
        lambda: int(facts(page, "Last hour").replace(",", "")) > int(before),
        what="the overview to follow, without a reload",
    )


def test_who_guesses_passwords_is_locked_out(
    context: BrowserContext, site: Server
) -> None:
    """Not with `browser_page`: the browser reports the status 429 as an error."""
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: (
            complaints.append(message.text) if message.type == "error" else None
        ),
    )
    width = page.viewport_size or {"width": 0}
    page.goto(f"{site.base_url}/admin/")
    for _ in range(4):
        guess(page, f"somebody-{width['width']}")
        expect(page.get_by_text("Please enter the correct")).to_be_visible()
    assert complaints == []
    guess(page, f"somebody-{width['width']}")
    expect(page.get_by_text("Try again in")).to_contain_text("15 minutes")
    assert fits(page)
    assert [text for text in complaints if "429" not in text] == []
    page.close()
    context.clear_cookies()


def guess(page: Page, name: str) -> None:
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill("a guess")
    page.get_by_role("button", name="Log in").click()
