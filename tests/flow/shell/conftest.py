"""Fixtures of the commands' tests: a server in auth mode, and commands beside it."""

import itertools
from collections.abc import Callable, Iterator

import pytest
from django.core.management import ManagementUtility

from tests.support import servers
from tests.support.client import Api
from tests.support.servers import Server, manage
from tests.support.shell import Done

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server(api_database: str) -> Iterator[Server]:
    started = servers.serve(api_database, FLUX_AUTH_ENABLED="true")
    yield started
    started.stop()


@pytest.fixture
def api(server: Server) -> Iterator[Api]:
    client = Api(server.port)
    yield client
    client.close()


@pytest.fixture
def name() -> str:
    return f"shell-{next(_numbers)}"


@pytest.fixture
def run(server: Server) -> Callable[..., Done]:
    """Runs a command that works."""

    def work(*arguments: str) -> Done:
        done = manage(*arguments, env=server.env)
        assert done.returncode == 0, done.stderr
        return done

    return work


@pytest.fixture
def token(run: Callable[..., Done], name: str) -> str:
    """That of a namespace of the test's own, with all scopes."""
    return run("flux_namespace", "create", name).stdout.strip()


@pytest.fixture
def refused_here(
    database: None, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """The same in this process, on a database without a namespace: it is quicker."""

    def work(*arguments: str, status: int = 1) -> str:
        with pytest.raises(SystemExit) as ended:
            ManagementUtility(["manage.py", *arguments]).execute()
        assert ended.value.code == status
        said = capsys.readouterr()
        assert said.out == ""
        return said.err

    return work
