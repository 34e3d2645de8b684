"""What R is: a bare ASGI handler answering `{}`, under the web worker's settings.

FLUX_LANE=false python -m bench.baseline --socket FD --parent PID
"""

import argparse
import os
import socket
import sys

import uvicorn

from flux_project import processes, web
from flux_project.gate import Receive, Scope, Send

_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"2")],
}
_BODY = {"type": "http.response.body", "body": b"{}"}


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        message = "only HTTP is served here"
        raise RuntimeError(message)
    await send(_START)
    await send(_BODY)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--socket", type=int, required=True)
    arguments.add_argument("--parent", type=int, required=True)
    given = arguments.parse_args()
    processes.die_with_parent(given.parent)
    sys.setswitchinterval(web.SWITCH_INTERVAL_SECONDS)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flux_project.settings")
    config = web.configuration()
    config.app = application
    config.lifespan = "off"
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=given.socket)])


if __name__ == "__main__":
    main()
