"""Clients that others wrote, as they come: the `websockets` library, a browser's own
WebSocket and EventSource, and curl.

Each hears every event once and in order, also over a restart of the server.
"""

import asyncio
import json
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.browser.conftest import ARGUMENTS, CHROMIUM
from tests.support.client import Api, event
from tests.support.servers import Flux, Server

SECONDS = 60.0
Heard = list[Any]
IN_A_BROWSER = """
  ([query]) => {
    window.heard = { socket: [], stream: [] };
    window.refused = [];
    addEventListener("securitypolicyviolation", (told) => refused.push(told));
    const note = (list, frame) => {
      if (frame.type === "state_update") list.push(frame.value);
    };
    let place = null;
    const open = () => {
      const since = place === null ? "" : `&since=${place}`;
      const socket = new WebSocket(`ws://${location.host}/api/ws${query}${since}`);
      socket.onmessage = ({ data }) => {
        const frame = JSON.parse(data);
        note(heard.socket, frame);
        if (frame.type === "subscribed") place ??= frame.seq;
        else if (frame.seq && !frame.more) place = frame.seq;
      };
      socket.onclose = () => setTimeout(open, 100); // in vain while it is offline
      window.socket = socket;
    };
    open();
    window.stream = new EventSource(`/api/stream${query}`);
    stream.onmessage = ({ data }) => note(heard.stream, JSON.parse(data));
  }
"""


@asynccontextmanager
async def browser(address: str) -> AsyncIterator[Page]:
    """A page of the server itself, whose scripts may speak to it."""
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=ARGUMENTS
        )
        page = await launched.new_page()
        page.set_default_timeout(SECONDS * 1_000)
        await page.goto(f"{address}/live")
        yield page
        await launched.close()


@asynccontextmanager
async def curl(address: str, *options: str) -> AsyncIterator[Process]:
    program = shutil.which("curl")
    assert program
    process = await asyncio.create_subprocess_exec(
        program, "-sSN", *options, address, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


@asynccontextmanager
async def running(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Meanwhile these run; afterwards they do not."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def api(server: Server) -> Iterator[Api]:
    client = Api(server.port)
    yield client
    client.close()


async def until(condition: Callable[[], object], *, what: object) -> None:
    for _ in range(round(SECONDS / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"still waiting for {what}")


async def by_library(
    port: int, query: str, heard: Heard, online: asyncio.Event
) -> None:
    """Listens with `websockets`, anew whenever the connection is lost."""
    place: int | None = None
    while await online.wait():
        since = "" if place is None else f"&since={place}"
        with suppress(OSError, WebSocketException):
            async with connect(f"ws://127.0.0.1:{port}/api/ws{query}{since}") as socket:
                async for text in socket:
                    frame = json.loads(text)
                    if frame["type"] == "state_update":
                        heard.append(frame["value"])
                    if frame["type"] == "subscribed" and place is not None:
                        continue
                    if "seq" in frame and "more" not in frame:
                        place = frame["seq"]
        await asyncio.sleep(0.1)


async def by_curl(port: int, query: str, heard: Heard, online: asyncio.Event) -> None:
    """The same with curl, which is told the last id."""
    last: str | None = None
    while await online.wait():
        options = [] if last is None else ["--header", f"Last-Event-ID: {last}"]
        address = f"http://127.0.0.1:{port}/api/stream{query}"
        async with curl(address, *options) as process:
            assert process.stdout is not None
            async for raw in process.stdout:
                name, _, value = raw.decode().rstrip().partition(": ")
                if name == "id":
                    last = value
                elif name == "data":
                    frame = json.loads(value)
                    if frame["type"] == "state_update":
                        heard.append(frame["value"])
        await asyncio.sleep(0.1)


async def test_all_of_them_go_on_after_a_restart_without_loss_or_repeat(
    start_flux: Callable[..., Flux],
) -> None:
    flux = await asyncio.to_thread(start_flux)
    library: Heard = []
    curled: Heard = []
    online = asyncio.Event()
    online.set()
    async with AsyncExitStack() as opened:
        api = Api(flux.port)
        opened.callback(api.close)
        query = f"?prefix={api.id('')}"
        page = await opened.enter_async_context(browser(flux.base_url))
        await page.evaluate(IN_A_BROWSER, [query])
        works = (
            by_library(flux.port, query, library, online),
            by_curl(flux.port, query, curled, online),
        )
        await opened.enter_async_context(running(*works))
        # The page itself has a socket, too.
        await until(lambda: listeners(api) == 5, what="all connections")
        await publish(api, range(5))
        await heard_by_all(page, library, curled, upto=5)
        api.close()
        online.clear()
        await asyncio.to_thread(flux.stop)
        await page.context.set_offline(True)
        await asyncio.to_thread(start_flux, like=flux)
        await publish(api, range(5, 10))
        assert listeners(api) == 0, "one of them was there already"
        online.set()
        await page.context.set_offline(False)
        await heard_by_all(page, library, curled, upto=10)
        await publish(api, range(10, 15))
        await heard_by_all(page, library, curled, upto=15)
        assert await page.evaluate("refused") == []


def listeners(api: Api) -> int:
    """How many listen at the server."""
    lines = api.get("/metrics").body.decode().splitlines()
    found = [line for line in lines if line.startswith("flux_listeners{")]
    assert found
    return sum(int(float(line.rpartition(" ")[2])) for line in found)


async def publish(api: Api, values: range) -> None:
    for value in values:
        await asyncio.to_thread(api.publish, "a", x=value)


async def heard_by_all(page: Page, library: Heard, curled: Heard, *, upto: int) -> None:
    """Returns when all clients have the last value, each of them once and in order."""
    await page.wait_for_function(
        "last => heard.socket.at(-1) === last && heard.stream.at(-1) === last",
        arg=upto - 1,
    )
    await until(
        lambda: library[-1:] == curled[-1:] == [upto - 1], what=(library, curled)
    )
    expected = list(range(upto))
    assert library == curled == expected
    heard = await page.evaluate("heard")
    assert heard == {"socket": expected, "stream": expected}


@pytest.fixture
def text() -> str:
    """Longer than any buffer on the way, easily compressed, and not ASCII."""
    return 'One "line"\n\u2028 ☃ 𝄞 \\ ' * 20_000


async def test_the_library_with_its_defaults_publishes_and_hears(
    server: Server, api: Api, text: str
) -> None:
    """It offers to compress, sends pings, and splits nothing by itself."""
    address = f"ws://127.0.0.1:{server.port}/api/ws?entity_id={api.id('long')}"
    async with asyncio.timeout(SECONDS), connect(address) as socket:
        assert json.loads(await socket.recv())["type"] == "subscribed"
        given = event(api.id("long"), {"text": text})
        await socket.send(json.dumps({"type": "publish", "ref": "r", "event": given}))
        got: dict[str, Any] = {}
        while not {"published", "state_update"} <= set(got):
            frame = json.loads(await socket.recv())
            got[frame["type"]] = frame
        assert got["state_update"]["value"] == text
        assert got["published"]["results"][0]["seq"] == got["state_update"]["seq"]
        await (await socket.ping())
    assert socket.close_code == 1000


async def test_a_browser_publishes_and_hears(
    server: Server, api: Api, text: str
) -> None:
    async with browser(server.base_url) as page:
        await page.evaluate(IN_A_BROWSER, [f"?entity_id={api.id('long')}"])
        await page.wait_for_function(
            "() => socket.readyState === 1 && stream.readyState === 1"
        )
        given = event(api.id("long"), {"text": text})
        message = json.dumps({"type": "publish", "event": given})
        await page.evaluate("message => socket.send(message)", message)
        await page.wait_for_function("() => heard.socket.length && heard.stream.length")
        assert await page.evaluate("heard") == {"socket": [text], "stream": [text]}
        assert await page.evaluate("refused") == []


async def test_curl_shows_what_a_terminal_needs(server: Server, api: Api) -> None:
    address = f"{server.base_url}/api/stream?entity_id={api.id('a')}"
    async with asyncio.timeout(SECONDS), curl(address, "--include") as process:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"HTTP/1.1 200 OK\r\n"
        await process.stdout.readuntil(b'"type":"subscribed"')
        seq = await asyncio.to_thread(api.publish, "a", x=1)
        await process.stdout.readuntil(b"id: %d\n" % seq)
        line = await process.stdout.readline()
        assert json.loads(line.removeprefix(b"data: "))["value"] == 1


async def test_curl_fails_on_a_refusal(server: Server) -> None:
    async with curl(f"{server.base_url}/api/stream?entity_id=/x", "--fail") as process:
        out, err = await process.communicate()
    assert process.returncode == 22
    assert (out, b"400" in err) == (b"", True)
