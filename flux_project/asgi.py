"""Flux as an ASGI application: the gate, then the live feed's routes or Django."""

import asyncio
import os
from typing import cast

from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flux_project.settings")
_django = cast("Application", get_asgi_application())

from flux_project import (  # noqa: E402  these need the apps loaded above
    database,
    proxies,
    services,
)
from flux_project.api import UnknownRoute  # noqa: E402  likewise
from flux_project.gate import (  # noqa: E402  likewise
    Application,
    Gate,
    Receive,
    Scope,
    Send,
    refuse_socket,
)
from flux_project.observed import ROUTE, Observed  # noqa: E402  likewise
from flux_project.urls import live_routes  # noqa: E402  likewise
from state import watch  # noqa: E402  likewise

database.bound_django()
_is_started = False


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Starts the services with the server, or with its first request under daphne."""
    if scope["type"] == "lifespan":
        await _live(scope, receive, send)
        return
    await _start()
    await _gate(scope, receive, send)


async def _route(scope: Scope, receive: Receive, send: Send) -> None:
    """The loop itself serves what lives as long as its connection, Django the rest."""
    live = live_routes.get((scope["type"], scope["path"]))
    if live is not None:
        scope[ROUTE] = scope["path"]
        await live(scope, receive, send)
    elif scope["type"] == "websocket":
        await refuse_socket(scope, send, UnknownRoute())
    else:
        await _django(scope, receive, send)


_gate = proxies.behind(Observed(Gate(_route)), settings.FLUX_TRUSTED_PROXIES)


async def _start() -> None:
    global _is_started
    if not _is_started:
        _is_started = True
        await asyncio.to_thread(services.start)
        watch.current()


async def _live(scope: Scope, receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await _start()
            # The lifespan's own end comes when all connections have ended.
            scope.get("state", {})["flux.shut"] = watch.shut
            await send({"type": "lifespan.startup.complete"})
        else:
            watch.stop()
            await asyncio.to_thread(services.stop)
            await send({"type": "lifespan.shutdown.complete"})
            return
