"""The commands of an operator's shell, as processes beside a server.

Invariant: no command runs longer than the tests' patience, at a terminal or not.
"""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from tests.support.client import Answer, Api, event
from tests.support.servers import PATIENCE_SECONDS, PROJECT, Server, manage

Done = subprocess.CompletedProcess[str]


def refused(server: Server, *arguments: str) -> str:
    """The one sentence of a command that fails."""
    done = manage(*arguments, env=server.env)
    assert done.returncode == 1, done
    assert done.stdout == ""
    [sentence] = done.stderr.splitlines()
    return sentence


def listed(run: Callable[..., Done], *arguments: str) -> list[dict[str, Any]]:
    found = json.loads(run(*arguments, "--json").stdout)
    [of_one_kind] = found.values()
    assert isinstance(of_one_kind, list)
    return of_one_kind


def at_a_terminal(
    server: Server, *arguments: str, answer: str | None = None
) -> tuple[int, str]:
    """A command's status and what a person sees of it."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=PROJECT,
        env={**server.env, "TERM": "dumb", "COLUMNS": "200"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    if answer is not None:
        os.write(ours, answer.encode())
    seen = b""
    try:
        while piece := _read(ours):
            seen += piece
        return process.wait(timeout=PATIENCE_SECONDS), seen.decode()
    finally:
        process.kill()
        process.wait(timeout=PATIENCE_SECONDS)
        os.close(ours)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4_096)
    except OSError:
        return b""  # the other end is closed


def publish(api: Api, token: str, entity_id: str) -> Answer:
    header = {"authorization": f"Bearer {token}"}
    return api.post("/api/events", event(entity_id, {"x": 1}), **header)
