"""A server that sells, with the process that does its jobs; and a program that buys.

Invariant: every claim secret and token that was ever handed out is in `secrets`, so
that a test can look for it where it must not be.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from flux_project.embedded import EmbeddedPostgres
from tests.support import servers
from tests.support.client import Answer, Api
from tests.support.servers import PROJECT, Server, wait_for
from tests.support.tenants import fresh_name, registry_of

PURCHASES = "/api/purchases"
DATABASE = "flux_shop"
SETTINGS = {"FLUX_AUTH_ENABLED": "true", "FLUX_LOG_LEVEL": "debug"}


class Jobs:
    """One process that does the jobs of a server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.log = server.data_dir / "jobs.log"
        self.process: subprocess.Popen[bytes]
        self.start()

    def start(self) -> None:
        ready, told = os.pipe()
        command = [sys.executable, "-m", "flux_project.work"]
        command += ["--ready", str(told), "--parent", str(os.getpid())]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                cwd=PROJECT,
                # Links in mails lead to where the server listens.
                env={**self._server.env, "FLUX_PUBLIC_URL": self._server.base_url},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[told],
            )
        os.close(told)
        with os.fdopen(ready, "rb") as pipe:
            if pipe.read(1) != b"\n":
                raise RuntimeError(self.log.read_text())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=10)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.kill()


@dataclass
class Bought:
    """A purchase, as the program has it that began it."""

    id: str
    secret: str
    checkout_url: str | None
    email: str
    api: Api

    @property
    def header(self) -> str:
        return f"Bearer {self.secret}"

    @property
    def path(self) -> str:
        return f"{PURCHASES}/{self.id}"

    def look(self) -> dict[str, Any]:
        answer = self.api.ask("GET", self.path, authorization=self.header)
        assert answer.status == 200, answer
        found: dict[str, Any] = answer.json
        return found

    def wait_for(self, status: str) -> dict[str, Any]:
        """Until it is so far; of one that is paid, until its namespace exists."""

        def is_there() -> bool:
            found = self.look()
            is_made = status != "paid" or found["namespace"]
            return found["status"] == status and bool(is_made)

        wait_for(is_there, what=f"{self.id} to be {status}")
        return self.look()

    def claim(self) -> Answer:
        return self.api.ask("POST", f"{self.path}/claim", authorization=self.header)


@dataclass
class Shop:
    """A server in auth mode that sells, and its jobs."""

    server: Server
    jobs: Jobs
    api: Api
    secrets: list[str] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        return self.server.base_url

    def begin(self, email: str) -> Answer:
        return self.api.post(PURCHASES, {"email": email})

    def buy(self, email: str = "") -> Bought:
        """Begins a purchase; nobody has paid yet. email: by default a new one's."""
        email = email or f"{fresh_name('buyer')}@example.org"
        answer = self.begin(email)
        assert answer.status == 201, answer
        told = answer.json
        self.secrets.append(told["claim_secret"])
        return Bought(
            told["purchase_id"],
            told["claim_secret"],
            told["checkout_url"],
            email,
            self.api,
        )

    def claimed(self, bought: Bought) -> dict[str, Any]:
        """Claims what is paid; the answer with its token."""
        bought.wait_for("paid")
        return self.claimed_again(bought)

    def claimed_again(self, bought: Bought) -> dict[str, Any]:
        """Claims what can be claimed."""
        answer = bought.claim()
        assert answer.status == 200, answer
        self.secrets.append(answer.json["token"])
        found: dict[str, Any] = answer.json
        return found


def make_database(postgres: EmbeddedPostgres, name: str) -> str:
    """One for a server that sells, which throttles nobody: tests buy often.

    Of its own for each way of selling: whoever does jobs does all of a database, and
    the demo gives nothing by those of another server.
    """
    servers.make_database(postgres, name)
    with registry_of(name) as opened:
        opened.do(
            "UPDATE namespaces_runtimeconfig SET"
            " registrations_per_address_per_hour = 1000000,"
            " failed_tokens_per_address_per_minute = 1000000"
        )
    return name


@contextmanager
def open_shop(database: str, billing: str, **env: str) -> Iterator[Shop]:
    """A server that sells this way, and its jobs, until the block ends."""
    debug = {"DEBUG": "true"} if billing == "demo" else {}
    settings = {**SETTINGS, "FLUX_BILLING": billing, **debug, **env}
    server = servers.serve(database, **settings)
    try:
        jobs = Jobs(server)
        api = Api(server.port)
        try:
            yield Shop(server, jobs, api)
        finally:
            api.close()
            jobs.stop()
    finally:
        server.stop()
