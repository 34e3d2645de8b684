"""The README's way from registration to the first publish, pasted as it stands.

Its commands run in one shell, beside a whole `manage.py flux` in auth mode, in a folder
that looks like the project's. And the way from one mode to the other, which
docs/operations.md tells.
"""

import json
import os
import re
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import ADMIN_HEADER, Api, event
from tests.support.servers import PROJECT, Flux, Server

FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
README = (PROJECT / "README.md").read_text()
SECRET = re.compile(r"flux_[0-9a-z]{10}_[0-9A-Za-z]{49}")
SECONDS = 120


@dataclass(frozen=True)
class Step:
    """Commands, and what the document says they complain about; None: nothing."""

    commands: str
    complaint: str | None = None


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    err: str

    @property
    def answers(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


def steps() -> list[Step]:
    """The section's blocks; one of text belongs to the commands before it."""
    section = README[README.index("\n## Auth mode\n") :]
    section = section[: section.index("\n## ", 1)]
    found: list[Step] = []
    for language, text in FENCED.findall(section):
        if language == "bash":
            found.append(Step(text))
        elif language == "text":
            found[-1] = Step(found[-1].commands, text)
    return found


def paste(all_steps: list[Step], folder: Path, *, url: str) -> list[Ended]:
    """Runs them in one shell, each with its output in files of its own."""
    script = ""
    for number, step in enumerate(all_steps):
        script += f"exec >{number}.out 2>{number}.err\n{step.commands}"
        script += f"\necho $? >{number}.status\n"
    environment = {"PATH": os.environ["PATH"], "FLUX_URL": url, "LANG": "C.UTF-8"}
    command = ["bash", "-c", script]
    subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        timeout=SECONDS,
        check=True,
    )

    def read(number: int, kind: str) -> str:
        return (folder / f"{number}.{kind}").read_text()

    return [
        Ended(int(read(number, "status")), read(number, "out"), read(number, "err"))
        for number in range(len(all_steps))
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "skills").symlink_to(PROJECT / "skills")
    return tmp_path


def test_the_walk_through_works_as_it_is_written(
    start_flux: Callable[..., Flux], folder: Path
) -> None:
    assert "\nFLUX_AUTH_ENABLED=true make run\n" in README
    flux = start_flux(FLUX_AUTH_ENABLED="true")
    (folder / "var").symlink_to(flux.data_dir)
    walked = steps()
    ended = paste(walked, folder, url=flux.base_url)
    for step, it in zip(walked, ended, strict=True):
        expected = (0, "") if step.complaint is None else (1, step.complaint)
        assert (it.status, it.err) == expected, step.commands
    registered, first, made, refused, rotated, revoked = ended
    assert (registered.out, refused.out, revoked.out) == ("", "", "")
    published, read = first.answers
    assert published["seq"] == 1
    assert read["properties"] == {"temperature": 22.5}
    assert made.answers[0]["seq"] == 2
    assert [one["seq"] for one in rotated.answers[:2]] == [3, 4]
    labels = [token["label"] for token in rotated.answers[2]["tokens"]]
    assert labels == ["first token", "kitchen sensor"]
    api = Api(flux.port)
    assert api.head() == 4  # what was refused left no trace
    api.close()
    assert not SECRET.search("".join(one.out + one.err for one in ended))
    assert not SECRET.search(flux.output())


def test_who_registers_a_name_goes_on_with_what_open_mode_wrote_there(
    start_server: Callable[..., Server],
) -> None:
    """And open mode with what auth mode wrote: log and state are the same."""
    name = f"moved-{uuid.uuid4().hex[:12]}"
    opened = Api(start_server().port)
    guarded = Api(start_server(FLUX_AUTH_ENABLED="true").port)
    kept = event(f"{name}/a", {"from": "open mode"})
    assert opened.post("/api/events", kept).status == 200
    assert guarded.post("/api/events", kept).status == 401
    made = guarded.post("/api/namespaces", {"name": name}, authorization=ADMIN_HEADER)
    bearer = f"Bearer {made.json['token']}"
    added = event(f"{name}/a", {"then": "auth mode"})
    assert guarded.post("/api/events", added, authorization=bearer).status == 200
    both = {"from": "open mode", "then": "auth mode"}
    assert opened.get(f"/api/state/entities/{name}/a").json["properties"] == both
    assert guarded.get(f"/api/namespaces/{name}").json["entityCount"] == 1
    assert opened.ask("DELETE", f"/api/state/entities/{name}/a").status == 200
    opened.close()
    guarded.close()
