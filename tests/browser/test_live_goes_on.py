"""How the page of live changes goes on: after a restart, and when it must say more.

Where the real server cannot be made to say something on demand, another one stands in
its place.
"""

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, WebSocketRoute, expect

from tests.browser.conftest import DESKTOP
from tests.support.client import event
from tests.support.servers import Flux, Server

pytestmark = pytest.mark.parametrize("context", [DESKTOP], indirect=True)


def test_after_a_restart_nothing_is_missed_and_nothing_comes_twice(
    context: BrowserContext, start_flux: Callable[..., Flux]
) -> None:
    flux = start_flux()
    page = context.new_page()
    page.goto(f"{flux.base_url}/live")
    expect(page.locator("#words")).to_have_text("Live")
    entity = "browser/restart"
    for value in (1, 2):
        httpx.post(f"{flux.base_url}/api/events", json=event(entity, {"x": value}))
    expect(page.locator("#changes tr")).to_have_count(2)
    flux.stop()
    expect(page.locator("#words")).to_have_text("Connection lost")
    expect(page.locator("#countdown")).to_contain_text("trying again in")
    context.set_offline(True)  # so that it does not come back before the next events
    start_flux(like=flux)
    for value in (3, 4):
        httpx.post(f"{flux.base_url}/api/events", json=event(entity, {"x": value}))
    context.set_offline(False)
    expect(page.locator("#words")).to_have_text("Live again, nothing was missed")
    expect(page.locator("#changes")).to_contain_text("events below came meanwhile")
    httpx.post(f"{flux.base_url}/api/events", json=event(entity, {"x": 5}))
    expect(page.locator("#count")).to_have_text("5 events")
    values = page.locator("#changes td.value").all_inner_texts()
    assert values == ["5", "4", "3", "2", "1"]
    expect(page.locator("#words")).to_have_text("Live", timeout=20_000)
    page.close()


FRAME = (
    '{"type":"state_update","entity_id":"a","property":"x","value":%d,'
    '"timestamp":"2025-06-01T09:00:00.123456Z","seq":%d%s}'
)
MORE = ',"more":true'
Talk = list[list[str]]


def stand_in(page: Page, site: Server, talk: Talk, *, reason: str) -> list[str]:
    """A server in place of the real one: for each connection what it says before it
    ends; the last one stays. Gives the addresses that are asked for."""
    asked: list[str] = []

    def serve(route: WebSocketRoute) -> None:
        asked.append(route.url.partition("?")[2])
        for text in talk[len(asked) - 1]:
            route.send(text)
        if len(asked) < len(talk):
            route.close(code=1012, reason=reason)

    page.route_web_socket("**/api/ws*", serve)
    page.goto(f"{site.base_url}/live")
    return asked


def subscribed(seq: int) -> str:
    return f'{{"type":"subscribed","entity_id":"*","seq":{seq}}}'


def test_half_an_event_is_not_shown_until_it_is_whole(
    context: BrowserContext, site: Server
) -> None:
    page = context.new_page()
    end = '{"type":"replay_end","seq":6,"entity_id":"*"}'
    talk = [
        [subscribed(4), FRAME % (1, 5, ""), FRAME % (2, 6, MORE)],
        [subscribed(6), FRAME % (3, 6, MORE), FRAME % (4, 6, ""), end],
    ]
    asked = stand_in(page, site, talk, reason="shutting_down")
    expect(page.locator("#count")).to_have_text("2 events")
    assert page.locator("#changes td.value").all_inner_texts() == ["3", "4", "1"]
    assert asked == ["entity_id=*", "entity_id=*&since=5"]
    page.close()


def test_another_log_is_said_and_begun_anew(
    context: BrowserContext, site: Server
) -> None:
    page = context.new_page()
    talk = [[subscribed(4), FRAME % (1, 5, "")], [subscribed(0), FRAME % (2, 1, "")]]
    asked = stand_in(page, site, talk, reason="log_reset")
    expect(page.locator("#changes tr")).to_have_count(3)
    expect(page.locator("#changes")).to_contain_text("Log reset: seqs begin anew.")
    assert page.locator("#changes td.seq").all_inner_texts() == ["1", "5"]
    assert asked == ["entity_id=*", "entity_id=*"]
    page.close()


def test_that_something_was_left_out_is_said(
    context: BrowserContext, site: Server
) -> None:
    page = context.new_page()
    conflated = '{"type":"conflated","from_seq":5,"to_seq":900}'
    stand_in(page, site, [[subscribed(4), conflated, FRAME % (1, 900, "")]], reason="")
    expect(page.locator("#changes")).to_contain_text(
        "Conflated: this page was too slow, so from seq 5 to 900"
    )
    page.close()
