"""`manage.py flux_import` against a server that has faults on demand."""

import contextlib
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.management import call_command
from django.test import override_settings

from tests.support import batch_server
from tests.support.batch_server import BatchServer, busy, lost_answer
from tests.support.servers import PROJECT, free_port, wait_for

_OWN = {"DJANGO_SETTINGS_MODULE": "flux_project.settings"}


@pytest.fixture
def api() -> Iterator[BatchServer]:
    with batch_server.running() as server:
        yield server


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """1,000 rows of ten entities, one row in a hundred without its entity."""
    path = tmp_path / "rows.csv"
    lines = [f"{'' if n % 100 == 50 else f'e{n % 10}'},{n}" for n in range(1000)]
    path.write_text("\n".join(["id,n", *lines]) + "\n")
    return path


def command(url: str, path: Path | str, *options: str) -> list[str]:
    given = [str(path), "--url", url, "--entity", "id", *options]
    return [sys.executable, str(PROJECT / "manage.py"), "flux_import", *given]


def start(
    url: str, path: Path | str, *options: str, data_dir: Path
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(url, path, *options),
        env={**os.environ, **_OWN, "FLUX_DATA_DIR": str(data_dir / "data")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(
    url: str, path: Path | str, *options: str, data_dir: Path, stdin: str = ""
) -> tuple[int, str, str]:
    """Exit status, standard output, standard error; in this process, to be quick."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    given = command(url, path, *options)[3:]
    with (
        override_settings(FLUX_DATA_DIR=data_dir / "data"),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()))),
    ):
        try:
            call_command("flux_import", *given, stdout=out, stderr=err)
        except SystemExit as ended:
            status = int(ended.code or 0)
    return status, out.getvalue(), err.getvalue()


def good(count: int = 1000) -> list[int]:
    return [n for n in range(count) if n % 100 != 50]


def test_every_good_row_is_stored_in_the_files_order(
    api: BatchServer, rows: Path, tmp_path: Path
) -> None:
    status, out, err = run(api.url, rows, "--batch-size", "90", data_dir=tmp_path)
    assert status == 1
    assert api.values("n") == good()
    assert "1,000 rows in" in out
    assert "990 stored, 0 stored before, 10 refused." in out
    assert "The last one stands at seq 990" in out
    assert "line 52 refused: The column id is empty." in err


def test_a_second_run_stores_nothing(
    api: BatchServer, rows: Path, tmp_path: Path
) -> None:
    run(api.url, rows, data_dir=tmp_path)
    _, out, _ = run(api.url, rows, data_dir=tmp_path / "elsewhere")
    assert "0 stored, 990 stored before, 10 refused." in out
    assert len(api.log) == 990


def test_refused_rows_are_kept_as_they_stand(api: BatchServer, tmp_path: Path) -> None:
    path, rejects = tmp_path / "r.csv", tmp_path / "rejects.jsonl"
    path.write_text('id,n,bad\na,"1\n",\n,2,\nb,3,1\nc,4,\n')
    status, _, _ = run(api.url, path, "--rejects", str(rejects), data_dir=tmp_path)
    assert status == 1
    assert api.entities() == ["a", "c"]
    found = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert found == [
        {"line": 4, "error": "The column id is empty.", "row": ",2,"},
        {"line": 5, "error": "It is bad.", "row": "b,3,1"},
    ]


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_busy_server_is_asked_again(
    api: BatchServer, rows: Path, tmp_path: Path, status: int
) -> None:
    api.faults = [busy(status, **{"Retry-After": "1"}), busy(status)]
    begun = time.monotonic()
    _, out, err = run(api.url, rows, "--batch-size", "300", data_dir=tmp_path)
    assert time.monotonic() - begun > 1.2
    assert api.values("n") == good()
    assert "990 stored" in out
    assert f"HTTP {status}, Not now.; trying again in 1.0 s" in err


def test_a_lost_answer_is_neither_a_loss_nor_a_duplicate(
    api: BatchServer, rows: Path, tmp_path: Path
) -> None:
    api.faults = [lost_answer, batch_server.lost_answer]
    _, out, err = run(api.url, rows, "--batch-size", "300", data_dir=tmp_path)
    assert api.values("n") == good()
    assert "990 stored, 0 stored before" in out
    assert "no answer" in err


def test_events_over_the_rate_limit_are_sent_again_in_order(
    api: BatchServer, rows: Path, tmp_path: Path
) -> None:
    api.faults = [batch_server.rate_limited_after(100)]
    _, out, err = run(api.url, rows, "--batch-size", "300", data_dir=tmp_path)
    assert api.values("n") == good()
    assert "990 stored" in out
    assert "takes no more for 1 s" in err


def test_a_batch_that_is_too_large_is_halved(
    api: BatchServer, rows: Path, tmp_path: Path
) -> None:
    api.faults = [busy(413), busy(413)]
    run(api.url, rows, "--batch-size", "400", data_dir=tmp_path)
    assert api.values("n") == good()
    assert api.batches == 7


def test_with_several_connections_each_entity_keeps_its_order(
    api: BatchServer, rows: Path, tmp_path: Path
) -> None:
    options = ("--concurrency", "4", "--batch-size", "50")
    _, out, _ = run(api.url, rows, *options, data_dir=tmp_path)
    assert "990 stored" in out
    for entity in set(api.entities()):
        of_it = [
            n
            for n, e in zip(api.values("n"), api.entities(), strict=True)
            if e == entity
        ]
        assert of_it == sorted(of_it)


def kill_in_the_middle(api: BatchServer, rows: Path, tmp_path: Path, sig: int) -> str:
    """Starts an import that stalls on its fifth batch, ends it, answers its stderr."""
    api.faults = [slow] * 4 + [busy(503, **{"Retry-After": "30"})]
    process = start(api.url, rows, "--batch-size", "100", data_dir=tmp_path)
    try:
        wait_for(lambda: api.batches == 5 or process.poll(), what="the fifth batch")
        process.send_signal(sig)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode in (-signal.SIGKILL, 130)
    return err


def slow(
    server: BatchServer, events: list[dict[str, Any]]
) -> tuple[int, dict[str, str], dict[str, Any]]:
    time.sleep(0.3)
    return batch_server.answered(server.store(events))


def test_a_killed_import_goes_on_where_it_was(
    api: BatchServer, rows: Path, tmp_path: Path
) -> None:
    kill_in_the_middle(api, rows, tmp_path, signal.SIGKILL)
    api.batches = 0
    _, out, err = run(api.url, rows, "--batch-size", "100", data_dir=tmp_path)
    assert api.values("n") == good()
    assert "Going on behind line" in err
    assert "settled earlier" in out
    assert "10 refused" in out
    assert api.batches < 10


def test_ctrl_c_says_how_to_go_on(api: BatchServer, rows: Path, tmp_path: Path) -> None:
    err = kill_in_the_middle(api, rows, tmp_path, signal.SIGINT)
    assert "The same command again goes on from here" in err
    assert "Traceback" not in err
    api.batches = 0
    _, out, _ = run(api.url, rows, "--batch-size", "100", data_dir=tmp_path)
    assert api.values("n") == good()
    assert "600 rows in" in out


def test_a_checkpoint_is_worth_nothing_when_the_log_is_another_one(
    api: BatchServer, rows: Path, tmp_path: Path
) -> None:
    kill_in_the_middle(api, rows, tmp_path, signal.SIGINT)
    api.log.clear()
    api.seqs.clear()
    _, _, err = run(api.url, rows, data_dir=tmp_path)
    assert api.values("n") == good()
    assert "Going on" not in err


def test_a_changed_file_starts_over_and_sends_what_changed(
    api: BatchServer, rows: Path, tmp_path: Path
) -> None:
    kill_in_the_middle(api, rows, tmp_path, signal.SIGINT)
    rows.write_text(rows.read_text().replace("e1,1\n", "e1,10001\n"))
    run(api.url, rows, data_dir=tmp_path)
    assert sorted(api.values("n")) == sorted([*good(), 10001])


def test_packed_files_and_standard_input_say_the_same(
    api: BatchServer, rows: Path, tmp_path: Path
) -> None:
    packed, archive = tmp_path / "rows.csv.gz", tmp_path / "rows.zip"
    packed.write_bytes(gzip.compress(rows.read_bytes()))
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("notes.txt", "-")
        opened.write(rows, "in/rows.csv")
    same = ("--import-id", "x", "--source", "x", "--format", "csv")
    run(api.url, rows, *same, data_dir=tmp_path)
    run(api.url, packed, *same, data_dir=tmp_path)
    run(api.url, archive, *same, "--member", "in/rows.csv", data_dir=tmp_path)
    run(api.url, "-", *same, data_dir=tmp_path, stdin=rows.read_text())
    assert len(api.log) == 990


def test_a_dry_run_prints_events_and_sends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"id":"a","v":1.10}\n{"id":"/b"}\n{"id":"c"}\n')
    status, out, err = run("http://127.0.0.1:1", path, "--dry-run", data_dir=tmp_path)
    assert status == 1
    assert '"properties":{"v":1.10}' in out
    assert len(out.splitlines()) == 2
    assert "line 2 refused" in err


def refused_start(path: Path, *options: str, url: str = "") -> str:
    """What a start says that must fail."""
    url = url or f"http://127.0.0.1:{free_port()}"
    status, out, err = run(url, path, *options, data_dir=path.parent)
    assert (status, out) == (1, "")
    return err


def test_what_cannot_work_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("id,n\na,1\n")
    assert "make run" in refused_start(path)
    assert "No such file" in refused_start(tmp_path / "missing.csv")
    assert "'when'" in refused_start(path, "--time", "when")
    assert "--time takes" in refused_start(path, "--time", "n", "id")
    assert "Mars" in refused_start(path, "--timezone", "Mars")
    assert "no .zip" in refused_start(path, "--member", "x")
    assert "is no address" in refused_start(path, url="http://[")
    assert "is no address" in refused_start(path, url="localhost:3000")


def test_a_token_is_needed_and_sent(
    api: BatchServer, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.token = "secret"
    status, _, err = run(api.url, rows, data_dir=tmp_path)
    assert (status, err.splitlines()[-1]) == (1, "HTTP 401: This needs a token.")
    monkeypatch.setenv("FLUX_TOKEN", "secret")
    run(api.url, rows, data_dir=tmp_path)
    assert len(api.log) == 990


def test_the_command_works_as_a_process(
    api: BatchServer, rows: Path, tmp_path: Path
) -> None:
    process = start(api.url, rows, data_dir=tmp_path)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "990 stored, 0 stored before, 10 refused." in out
    assert err.splitlines()[0] == "line 52 refused: The column id is empty."
    assert len(err.splitlines()) == 10


def test_wrong_options_stop_before_the_whole_file_is_refused(
    api: BatchServer, rows: Path, tmp_path: Path
) -> None:
    options = ("--time", "n", "--batch-size", "200")
    status, _, err = run(api.url, rows, *options, data_dir=tmp_path)
    assert status == 1
    assert "All of the first 200 rows were refused" in err
    assert api.log == []


def test_a_server_that_stays_away_ends_the_import_in_time(
    api: BatchServer, rows: Path, tmp_path: Path
) -> None:
    api.faults = [busy(503)] * 100
    status, _, err = run(api.url, rows, "--patience", "2", data_dir=tmp_path)
    assert status == 1
    assert "did not take it: HTTP 503, Not now." in err
