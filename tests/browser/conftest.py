"""A browser for tests: Debian's Chromium, with a profile of its own.

Invariant: whatever a page loads, it loads from the server under test; an error on the
console, a refused resource or a request to elsewhere fails the test.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from tests.support.servers import Server, manage, serve
from tests.support.shop import Shop

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PHONE, DESKTOP = 390, 1280
# Playwright's own five seconds are few where two test runs share two cores.
expect.set_options(timeout=20_000)
# What Chromium says of a request whose page was left before it was answered.
LEFT = "net::ERR_ABORTED"
USER, PASSWORD = "ada", "a password for the tests"


@pytest.fixture(scope="session")
def site(api_database: str) -> Iterator[Server]:
    """A server with an account for its admin."""
    server = serve(api_database)
    env = {
        **os.environ,
        **server.env,
        "DJANGO_SUPERUSER_USERNAME": USER,
        "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        "DJANGO_SUPERUSER_EMAIL": "ada@example.org",
    }
    done = manage("createsuperuser", "--noinput", env=env)
    assert done.returncode == 0, done.stderr
    yield server
    server.stop()


@pytest.fixture(scope="module", params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def context(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrowserContext]:
    """A browser with a window of a phone's width, and with one of a desktop's.

    One for a module, as its start takes seconds. Playwright runs an event loop in it,
    so a module that uses this has no asynchronous tests and asks Django nothing.
    """
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("chromium"),
            executable_path=CHROMIUM,
            args=ARGUMENTS,
            viewport={"width": request.param, "height": 850},
        )
        context.set_default_timeout(20_000)
        yield context
        context.close()


@pytest.fixture
def browser_page(site: Server, context: BrowserContext) -> Iterator[Page]:
    """A window at the server's first page, whose complaints fail the test."""
    with watched(context, site.base_url) as page:
        yield page


@pytest.fixture
def shop_page(demo_shop: Shop, context: BrowserContext) -> Iterator[Page]:
    """The same at a server that sells, with the demo's checkout."""
    with watched(context, demo_shop.base_url) as page:
        yield page


@contextmanager
def watched(context: BrowserContext, base_url: str, *others: str) -> Iterator[Page]:
    """A window whose complaints fail the test when the block ends. others: further
    sites that it may be led to."""
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console",
        lambda message: (
            complaints.append(message.text)
            if message.type in {"error", "warning"}
            else None
        ),
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "requestfailed",
        lambda request: (
            complaints.append(f"{request.url}: {request.failure}")
            if request.failure != LEFT
            else None
        ),
    )
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((base_url, *others, "data:"))
            else complaints.append(request.url)
        ),
    )
    page.goto(base_url)
    yield page
    page.close()
    context.clear_cookies()
    assert complaints == []
