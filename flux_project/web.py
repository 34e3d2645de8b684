"""One web server process: uvicorn on a socket that the supervisor opened.

Invariant: it ends with its parent, and within GRACE_SECONDS of a SIGTERM.
"""

import argparse
import gc
import os
import socket
import sys

import structlog
import uvicorn
from django.conf import settings

from flux_project import lean, processes, shared_metrics

log = structlog.get_logger("flux.web")

GRACE_SECONDS = 3
KEEP_ALIVE_SECONDS = 75
BACKLOG = 2048
LANE = "flux_project.lane:LaneProtocol"
SOCKETS = "flux_project.sockets:SocketProtocol"
WITHOUT_LANE = "flux_project.wire:PatientProtocol"
# The committer and the readers are threads beside the event loop; a short interval lets
# the loop go on sooner when one of them is computing.
SWITCH_INTERVAL_SECONDS = 0.0005


# New objects between two looks of the garbage collector.
COLLECT_EVERY = 50_000


def _spare_the_collector() -> None:
    """Takes what the start made out of the garbage collector's rounds.

    Django's modules are some 300,000 objects that live as long as the process; walking
    them again and again was 10 % of a read's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY, 20, 20)


class Worker(uvicorn.Server):
    """Tells the supervisor, by closing a pipe's end, when it serves."""

    def __init__(self, config: uvicorn.Config, ready: int | None) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        _spare_the_collector()
        if self._ready is not None and self.started:
            os.write(self._ready, b"\n")
            os.close(self._ready)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """First of all nobody may begin to listen; uvicorn does the rest."""
        shut = self.lifespan.state.get("flux.shut")  # the application's, if it started
        if shut is not None:
            shut()
        await super().shutdown(sockets=sockets)


def configuration() -> uvicorn.Config:
    return uvicorn.Config(
        "flux_project.asgi:application",
        loop="uvloop",
        http=LANE if settings.FLUX_LANE else WITHOUT_LANE,
        ws=SOCKETS,
        # Shared frames are the same bytes for all, and a thousand silent connections
        # would hold a compressor and a timer each. state.watch beats for all of them.
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        lifespan="auto",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _share_metrics(number: int | None) -> OSError | None:
    """Before anything that counts is imported, and so before there is a log to tell."""
    try:
        if number is not None:
            shared_metrics.join(settings.FLUX_DATA_DIR, number)
    except OSError as error:
        return error
    return None


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--socket", type=int, required=True)
    arguments.add_argument("--ready", type=int)
    arguments.add_argument("--parent", type=int, required=True)
    arguments.add_argument("--worker", type=int)
    given = arguments.parse_args()
    processes.die_with_parent(given.parent)
    processes.give_large_memory_back()
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    lean.choose_settings()
    fault = _share_metrics(given.worker)
    lean.set_up()
    if fault is not None:
        log.warning("this worker counts for itself alone", error=str(fault))
    worker = Worker(configuration(), given.ready)
    worker.run(sockets=[socket.socket(fileno=given.socket)])
    if not worker.started:
        sys.exit(1)


if __name__ == "__main__":
    main()
