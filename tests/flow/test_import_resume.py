"""An import that is killed at any moment, against the real server: each row once."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.support.servers import PROJECT, Server, wait_for

ROWS = 6000


def head(server: Server) -> int:
    return int(httpx.get(f"{server.base_url}/api/health").json()["seq"])


def wait_until_stored(server: Server, seq: int) -> None:
    wait_for(lambda: head(server) >= seq, what="some batches")


def logged(server: Server, namespace: str) -> list[int]:
    """The rows' numbers in the order of the log."""
    found: list[int] = []
    page = f"/api/events?namespace={namespace}&limit=500"
    while page:
        answer = httpx.get(server.base_url + page)
        events = answer.raise_for_status().json()
        found += [event["payload"]["properties"]["n"] for event in events]
        page = answer.links.get("next", {}).get("url", "").removeprefix(server.base_url)
    return found[::-1]


def importing(
    server: Server, path: Path, namespace: str, data_dir: Path
) -> subprocess.Popen[str]:
    command = [sys.executable, str(PROJECT / "manage.py"), "flux_import", str(path)]
    command += ["--url", server.base_url, "--entity", "id", "--batch-size", "25"]
    settings = {
        "DJANGO_SETTINGS_MODULE": "flux_project.settings",
        "FLUX_DATA_DIR": str(data_dir),
    }
    return subprocess.Popen(
        [*command, "--prefix", f"{namespace}/"],
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_killed_import_stores_each_row_once_and_in_order(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server()
    namespace = f"import-{uuid.uuid4().hex[:8]}"
    path = tmp_path / "rows.csv"
    path.write_text("id,n\n" + "".join(f"e{n % 7},{n}\n" for n in range(ROWS)))
    for share in (0.2, 0.3):
        before = head(server)
        process = importing(server, path, namespace, tmp_path / "data")
        wait_until_stored(server, before + int(share * ROWS))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=20)
        assert process.returncode == -signal.SIGKILL
        assert head(server) < before + ROWS
    process = importing(server, path, namespace, tmp_path / "data")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Going on behind line" in err
    assert "0 refused" in out
    assert logged(server, namespace) == list(range(ROWS))


def test_a_second_import_without_its_checkpoint_stores_nothing(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server()
    namespace = f"import-{uuid.uuid4().hex[:8]}"
    path = tmp_path / "rows.csv"
    path.write_text("id,n\n" + "".join(f"e{n % 7},{n}\n" for n in range(100)))
    for stored, before in ((100, 0), (0, 100)):
        process = importing(server, path, namespace, tmp_path / f"data-{stored}")
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert f"{stored} stored, {before} stored before, 0 refused" in out
    assert logged(server, namespace) == list(range(100))
