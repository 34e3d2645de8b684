"""The embedded PostgreSQL: its files, its settings, and what a crash leaves behind."""

import itertools
import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from flux_project import binaries, places, processes
from flux_project.embedded import MAX_LOG_BYTES, EmbeddedPostgres
from flux_project.sentences import CannotStart
from tests.support import session
from tests.support.servers import wait_for

_numbers = itertools.count()
BINDIR = Path(session.BINDIR) if session.BINDIR else None


@pytest.fixture
def where() -> Iterator[places.Places]:
    data_dir = session.DIRECTORY / f"embedded-{next(_numbers)}"
    places.make_data_dir(data_dir)
    found = places.locate(data_dir)
    yield found
    left = processes.postgres_inside(found.cluster)
    processes.send(left, signal.SIGKILL)
    psutil.wait_procs(left, timeout=10)
    session.remove(data_dir)


def embedded(where: places.Places, password: str = "secret") -> EmbeddedPostgres:
    return EmbeddedPostgres(where, password=password, bindir=BINDIR)


@pytest.fixture
def running(where: places.Places) -> Iterator[EmbeddedPostgres]:
    server = embedded(where)
    server.start()
    yield server
    server.stop()


def test_it_is_durable_and_listens_on_its_socket_alone(
    running: EmbeddedPostgres, where: places.Places
) -> None:
    expected = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "listen_addresses": "",
        "password_encryption": "scram-sha-256",
        "server_encoding": "UTF8",
        "TimeZone": "UTC",
        "unix_socket_directories": str(where.sockets),
    }
    with running.connect() as connection:
        for name, value in expected.items():
            row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            assert row == (value,), name


def test_text_sorts_by_code_point(running: EmbeddedPostgres) -> None:
    query = "SELECT x FROM unnest(ARRAY['b', 'a', 'Z', 'ä', '😀', 'ￃ']) x ORDER BY x"
    with running.connect() as connection:
        found = [row[0] for row in connection.execute(query)]
    assert found == sorted(found)


def test_nobody_else_gets_in(running: EmbeddedPostgres, where: places.Places) -> None:
    for private in (where.sockets, where.cluster):
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
    with pytest.raises(psycopg.OperationalError, match="password"):
        embedded(where, password="guessed").connect()
    assert not (where.sockets / "password").exists()


def test_what_was_committed_survives_kill_9(where: places.Places) -> None:
    server = embedded(where)
    server.start()
    with server.connect() as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS value")
    processes.send(processes.postgres_inside(where.cluster), signal.SIGKILL)
    wait_for(lambda: not server.running, what="it to be dead")
    server.start()
    with server.connect() as connection:
        assert connection.execute("SELECT value FROM kept").fetchone() == (42,)
    server.stop()
    assert processes.postgres_inside(where.cluster) == []


def test_backends_that_outlive_their_postmaster_are_waited_for(
    where: places.Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They still write to its shared memory, so a second server must not start."""
    server = embedded(where)
    server.start()
    with server.connect() as connection:
        busy = connection.info.backend_pid
        psutil.Process(busy).suspend()  # it cannot notice that its postmaster is gone
        assert server.pid is not None
        psutil.Process(server.pid).kill()
        wait_for(lambda: not server.running, what="the postmaster to be dead")
        short = ((signal.SIGINT, 1.0), (signal.SIGQUIT, 0.5), (signal.SIGKILL, 9.0))
        monkeypatch.setattr("flux_project.embedded.LEFTOVERS_END", short)
        second = embedded(where)
        assert busy in [one.pid for one in processes.postgres_inside(where.cluster)]
        second.start()
        assert busy not in [one.pid for one in processes.postgres_inside(where.cluster)]
        second.stop()


def test_an_interrupted_first_start_is_begun_again(where: places.Places) -> None:
    draft = where.base / "postgresql.new"
    draft.mkdir(parents=True)
    (draft / "half").touch()
    server = embedded(where)
    server.start()
    assert server.running
    assert not draft.exists()
    server.stop()


def test_another_process_in_the_directory_is_left_alone(
    running: EmbeddedPostgres, where: places.Places
) -> None:
    with subprocess.Popen(["/bin/sleep", "600"], cwd=where.cluster) as visitor:
        try:
            pids = [one.pid for one in processes.postgres_inside(where.cluster)]
            assert running.pid in pids
            assert visitor.pid not in pids
        finally:
            visitor.kill()


def test_the_log_is_bounded(running: EmbeddedPostgres, where: places.Places) -> None:
    with where.log.open("ab") as log:
        log.write(b"x" * (MAX_LOG_BYTES + 1))
    running.bound_log()
    assert where.log.stat().st_size == 0
    with running.connect() as connection, pytest.raises(psycopg.Error):
        connection.execute("SELECT 1/0")
    wait_for(lambda: b"division" in where.log.read_bytes(), what="the log to go on")


def test_a_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    found = places.locate(deep)
    assert len(str(found.sockets)) < 40
    assert places.locate(deep) == found
    assert places.locate(deep.with_name("f" * 60)).sockets != found.sockets


@pytest.mark.parametrize("kind", ["open", "link", "file"])
def test_a_socket_directory_of_somebody_else_is_refused(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "sockets"
    if kind == "open":
        path.mkdir()
        path.chmod(0o755)
    elif kind == "link":
        (tmp_path / "target").mkdir(mode=0o700)
        path.symlink_to(tmp_path / "target")
    else:
        path.touch(mode=0o600)
    with pytest.raises(CannotStart, match="must be a directory of mode 0700"):
        places.make_private(path, owner=os.geteuid(), group=os.getegid())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root switches accounts")
def test_as_root_a_closed_directory_keeps_its_mode(tmp_path: Path) -> None:
    """The cluster then lives elsewhere; nobody's permissions are touched."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    data_dir = closed / "var"
    places.make_data_dir(data_dir)
    where = places.locate(data_dir)
    assert data_dir not in where.base.parents
    said: list[str] = []
    server = EmbeddedPostgres(
        where, password="secret", bindir=BINDIR, report=said.append
    )
    try:
        server.start()
        assert server.running
        assert any(str(where.base) in line for line in said)
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        assert places.locate(data_dir) == where
    finally:
        server.stop()
        session.remove(data_dir)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root switches accounts")
def test_as_root_unreachable_programs_are_copied_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "SYSTEM_DIR", tmp_path / "system")
    monkeypatch.setattr(binaries, "usable", lambda found: False)
    who = binaries.account()
    bindir = binaries.directory(who)
    assert tmp_path in bindir.parents
    assert binaries.directory(who) == bindir
    for program in ("postgres", "initdb"):
        said = subprocess.run(
            [bindir / program, "-V"], capture_output=True, text=True, check=True
        )
        assert "PostgreSQL" in said.stdout
    assert bindir.stat().st_mode & 0o055 == 0o055
