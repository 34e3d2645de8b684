"""Runs the skill's script as an agent does: a process, from the skill's folder."""

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "skills" / "flux"
SCRIPT = FOLDER / "scripts" / "flux.sh"


def only(folder: Path, *programs: str) -> str:
    """A PATH on which there is nothing else."""
    folder.mkdir()
    for program in programs:
        found = shutil.which(program)
        assert found, program
        (folder / program).symlink_to(found)
    return str(folder)


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Skill:
    """The script with its environment; nothing else of ours leaks into it."""

    url: str
    path: str = os.environ["PATH"]
    environment: tuple[tuple[str, str], ...] = ()

    def given(self, **environment: str) -> "Skill":
        return Skill(self.url, self.path, (*self.environment, *environment.items()))

    def flux(self, *arguments: str | bytes, stdin: bytes = b"") -> Ended:
        return self._ended([str(SCRIPT), *arguments], stdin)

    def shell(self, line: str) -> Ended:
        """A line as it stands in a document, where `flux.sh` may be on the PATH."""
        path = f"{SCRIPT.parent}:{self.path}"
        return self._ended(["bash", "-c", f"PATH={shlex.quote(path)}; {line}"], b"")

    def _ended(self, command: list[str | bytes], stdin: bytes) -> Ended:
        environment = {"PATH": self.path, "FLUX_URL": self.url, "LANG": "C.UTF-8"}
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            cwd=FOLDER,
            env=environment | dict(self.environment),
            timeout=60,
            check=False,
        )
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())
