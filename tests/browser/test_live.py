"""The page of live changes in a real browser: what it shows, and how it is used."""

import re
import subprocess
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.test_pages import EVIL, fits, publish
from tests.support.client import event
from tests.support.servers import Server

WATCH_POLICY = """
  window.refusals = [];
  addEventListener("securitypolicyviolation", (told) => refusals.push(told.blockedURI));
"""


@pytest.fixture
def live(browser_page: Page, site: Server) -> Iterator[Page]:
    """The page, connected; whatever its policy refuses fails the test."""
    page = browser_page
    page.add_init_script(WATCH_POLICY)
    show(page, f"{site.base_url}/live")
    yield page
    assert page.evaluate("refusals") == []


def show(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("#words")).to_have_text("Live")


def change(page: Page, entity_id: str) -> str:
    """The text of the newest row about an entity, with single spaces."""
    row = page.locator("#changes tr", has_text=entity_id).first
    expect(row).to_be_visible()
    return " ".join(row.inner_text().split())


def filter_by(page: Page, kind: str, value: str) -> None:
    page.get_by_label("Show", exact=True).select_option(kind)
    page.get_by_label("Its name").fill(value)
    page.get_by_label("Its name").press("Enter")
    expect(page.locator("#words")).to_have_text("Live")


# --- what it shows ------------------------------------------------------------------


def test_the_first_page_leads_to_it(browser_page: Page, site: Server) -> None:
    browser_page.get_by_role("link", name="the live page").click()
    expect(browser_page.locator("#words")).to_have_text("Live")
    assert fits(browser_page)


def test_its_command_makes_the_first_change(live: Page) -> None:
    expect(live.get_by_text("Waiting for the next change.")).to_be_visible()
    assert fits(live)
    command = live.locator("#command").inner_text()
    shell = ["bash", "-c", command]
    subprocess.run(shell, check=True, capture_output=True, timeout=30)
    expect(live.get_by_text("Waiting for the next change.")).to_be_hidden()
    assert "21.5" in change(live, "home/kitchen")
    expect(live.locator("#changes tr", has_text="window")).to_contain_text('"open"')
    assert fits(live)


def test_the_figures_come_by_themselves(live: Page, site: Server) -> None:
    publish(site, "browser/figures", x=1)
    for figure in ("rate", "entities", "connections", "publishers"):
        expect(live.locator(f"#{figure}")).to_have_text(re.compile(r"\d"))
    expect(live.locator("#connections")).not_to_have_text("0")


def test_each_kind_of_change_has_its_words(live: Page, site: Server) -> None:
    exact = b'{"n": 12345678901234567890, "price": 1.10, "null": null}'
    body = b'{"stream": "s", "source": "me", "payload": {"entity_id": "browser/k"'
    for rest in (
        b',"properties": %b}}' % exact,
        b',"properties": {}, "unset": ["price"]}}',
        b',"properties": {}}}',
        b',"properties": {"__deleted__": true}}}',
    ):
        answer = httpx.post(f"{site.base_url}/api/events", content=body + rest)
        assert answer.status_code == 200
    rows = live.locator("#changes tr")
    expect(rows).to_have_count(6)
    values = live.locator("#changes td.value").all_inner_texts()
    shown = ["deleted", "nothing changed", "removed", "12345678901234567890", "1.10"]
    assert values == [*shown, "null"]
    seqs = [int(text) for text in live.locator("#changes td.seq").all_inner_texts()]
    assert seqs == sorted(seqs, reverse=True), "the newest is not first"
    expect(live.locator("#count")).to_have_text("4 events")


def test_hostile_values_are_text_alone(live: Page, site: Server) -> None:
    dialogs: list[str] = []
    live.on("dialog", lambda dialog: dialogs.append(dialog.message))
    entity_id = f"browser/{EVIL}"
    publish(site, entity_id, **{EVIL: EVIL})
    assert EVIL in change(live, "browser/</pre>")
    expect(live.get_by_role("link", name=entity_id)).to_be_visible()
    assert live.locator("img[src=x]").count() == 0
    live.get_by_role("link", name=entity_id).click()
    expect(live.get_by_label("Its name")).to_have_value(entity_id)
    assert entity_id in live.locator("#command").inner_text().replace("'\\''", "'")
    assert dialogs == []
    assert "broken into" not in live.title().partition("<script>")[0]
    assert live.evaluate("location.pathname") == "/live"


def test_what_is_long_is_shortened_and_shown_whole_when_asked(
    live: Page, site: Server
) -> None:
    text = "𝄞long " * 2_000
    publish(site, "browser/long", text=text)
    assert len(change(live, "browser/long")) < 300
    assert fits(live)
    button = live.get_by_role("button", name="Show all 14,002 characters")
    button.focus()
    live.keyboard.press("Enter")
    whole = live.get_by_role("dialog", name="browser/long")
    expect(whole).to_contain_text(f'"{text}"')
    assert fits(live)
    live.keyboard.press("Escape")
    expect(whole).to_be_hidden()
    expect(button).to_be_focused()


def test_it_keeps_up_and_its_rows_are_bounded(live: Page, site: Server) -> None:
    for start in range(0, 5_000, 500):
        events = [event("browser/many", {"n": start + n, "m": n}) for n in range(500)]
        httpx.post(f"{site.base_url}/api/events/batch", json=events)
    expect(live.locator("#count")).to_have_text("5,000 events")
    assert "4999" in change(live, "browser/many")
    assert live.locator("#changes tr").count() == 300


def test_an_event_with_many_properties_does_not_push_out_all_else(
    live: Page, site: Server
) -> None:
    publish(site, "browser/before", x=1)
    publish(site, "browser/wide", **{f"property-{n}": n for n in range(4_000)})
    expect(live.locator("#changes")).to_contain_text("… and 3,900 further properties")
    expect(live.locator("#changes")).to_contain_text("browser/before")


# --- the filter ---------------------------------------------------------------------


def test_the_filter_is_part_of_the_address(live: Page, site: Server) -> None:
    filter_by(live, "prefix", "browser/f/")
    assert live.url == f"{site.base_url}/live?prefix={quote('browser/f/', safe='')}"
    publish(site, "browser/other", x=1)
    publish(site, "browser/other", __deleted__=True)
    publish(site, "browser/f/one", x=2)
    change(live, "browser/f/one")
    expect(live.locator("#changes")).not_to_contain_text("browser/other")
    shared = live.url
    show(live, f"{site.base_url}/live")
    show(live, shared)
    expect(live.get_by_label("Its name")).to_have_value("browser/f/")
    publish(site, "browser/f/two", x=2)
    change(live, "browser/f/two")


def test_a_namespace_and_one_entity_can_be_chosen(live: Page, site: Server) -> None:
    filter_by(live, "namespace", "browser-ns")
    publish(site, "browser-ns-not/a", x=1)
    publish(site, "browser-ns/a", x=1)
    change(live, "browser-ns/a")
    live.get_by_role("link", name="browser-ns/a").click()
    expect(live.locator("#words")).to_have_text("Live")
    expect(live.get_by_label("Its name")).to_have_value("browser-ns/a")
    publish(site, "browser-ns/b", x=2)
    publish(site, "browser-ns/a", x=3)
    assert "3" in change(live, "browser-ns/a")
    expect(live.locator("#count")).to_have_text("1 event")
    live.go_back()
    expect(live.get_by_label("Its name")).to_have_value("browser-ns")
    live.get_by_label("Show", exact=True).select_option("")
    expect(live).to_have_url(f"{site.base_url}/live")
    expect(live.locator("#words")).to_have_text("Live")


def test_its_command_is_of_what_would_be_seen(live: Page, site: Server) -> None:
    entity_id = """browser/it's "so" \\ odd"""
    filter_by(live, "entity_id", entity_id)
    shell = ["bash", "-c", live.locator("#command").inner_text()]
    subprocess.run(shell, check=True, capture_output=True, timeout=30)
    assert "21.5" in change(live, entity_id)


def test_a_filter_that_the_server_refuses_says_why(
    context: BrowserContext, site: Server
) -> None:
    page = context.new_page()
    page.goto(f"{site.base_url}/live?entity_id=%2Fx")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("entity_id must not begin with a slash")
    expect(page.locator("#words")).to_have_text("Not connected")
    assert fits(page)
    filter_by(page, "entity_id", "browser/x")
    expect(alert).to_be_hidden()
    page.close()


# --- pause, clear, keyboard -----------------------------------------------------------


def test_it_can_be_paused(live: Page, site: Server) -> None:
    publish(site, "browser/p", x=1)
    change(live, "browser/p")
    live.get_by_role("button", name="Pause").click()
    for value in (2, 3):
        publish(site, "browser/p", x=value)
    expect(live.locator("#count")).to_have_text("3 events, paused at 1")
    expect(live.locator("#changes tr")).to_have_count(1)
    live.get_by_role("button", name="Resume").click()
    expect(live.locator("#changes tr")).to_have_count(3)
    values = live.locator("#changes td.value").all_inner_texts()
    assert values == ["3", "2", "1"]
    expect(live.locator("#count")).to_have_text("3 events")


def test_it_can_be_cleared(live: Page, site: Server) -> None:
    publish(site, "browser/c", x=1)
    change(live, "browser/c")
    live.get_by_role("button", name="Clear").click()
    expect(live.locator("#changes tr")).to_have_count(0)
    expect(live.get_by_text("Waiting for the next change.")).to_be_visible()
    publish(site, "browser/c", x=2)
    assert "2" in change(live, "browser/c")


def test_it_can_be_used_without_a_mouse(live: Page, site: Server) -> None:
    live.get_by_label("Show", exact=True).focus()
    live.keyboard.press("Tab")
    expect(live.get_by_role("button", name="Pause")).to_be_focused()
    live.keyboard.press("Space")
    expect(live.get_by_role("button", name="Resume")).to_be_focused()
    live.keyboard.press("Space")
    live.get_by_label("Show", exact=True).focus()
    live.keyboard.type("a name")  # chooses "a namespace"
    live.keyboard.press("Tab")
    live.keyboard.type("browser-keys")
    live.keyboard.press("Enter")
    expect(live.locator("#words")).to_have_text("Live")
    publish(site, "browser-keys/a", x=1)
    change(live, "browser-keys/a")
