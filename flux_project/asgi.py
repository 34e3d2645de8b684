"""Flux as an ASGI application: the gate, then Django."""

import asyncio
import os
from typing import cast

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flux_project.settings")
_django = get_asgi_application()

from flux_project import services  # noqa: E402  needs the apps that Django just loaded
from flux_project.gate import Application, Gate, Receive, Scope, Send  # noqa: E402  likewise
from flux_project.observed import Observed  # noqa: E402  likewise

_gate = Observed(Gate(cast(Application, _django)))
_is_started = False


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Starts the services with the server, or with its first request under daphne."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    await _start()
    await _gate(scope, receive, send)


async def _start() -> None:
    global _is_started
    if not _is_started:
        _is_started = True
        await asyncio.to_thread(services.start)


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await _start()
            await send({"type": "lifespan.startup.complete"})
        else:
            await asyncio.to_thread(services.stop)
            await send({"type": "lifespan.shutdown.complete"})
            return
