"""Where the embedded PostgreSQL keeps its things. Invariant: the same data directory
gives the same places in every process, so that other commands find the running server.

As root, PostgreSQL runs under an account of its own, which may be unable to reach a
checkout below a closed directory (`/root`). Permissions of what Flux did not make are
never changed: the cluster then lives under `/var/lib/flux` instead.
"""

import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from flux_project.sentences import CannotStart

SYSTEM_DIR = Path("/var/lib/flux")
# A fixed place, because TMPDIR may differ from terminal to terminal.
SHORT_DIR = Path("/tmp")  # noqa: S108  its owner and mode are verified before use
PORT = 5432
USER = "flux"
DATABASE = "flux"
LOCK_NAME = "flux.lock"
LOCK_PATIENCE_SECONDS = 5.0  # a predecessor that is just ending needs no longer
MAX_SOCKET_PATH_BYTES = 103  # 107 on Linux, 103 elsewhere


@dataclass(frozen=True)
class Places:
    data_dir: Path
    base: Path
    sockets: Path

    @property
    def cluster(self) -> Path:
        return self.base / "postgresql"

    @property
    def config(self) -> Path:
        return self.base / "postgresql.flux.conf"

    @property
    def log(self) -> Path:
        return self.data_dir / "postgresql.log"


def locate(data_dir: Path) -> Places:
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    base = _base(data_dir, elsewhere=SYSTEM_DIR / digest)
    sockets = base / "run"
    if len(os.fsencode(sockets / f".s.PGSQL.{PORT}")) > MAX_SOCKET_PATH_BYTES:
        sockets = SHORT_DIR / f"flux-{digest}"
    return Places(data_dir=data_dir, base=base, sockets=sockets)


def database(where: Places, password: str) -> dict[str, Any]:
    """Django's settings for the embedded server's database."""
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": DATABASE,
        "USER": USER,
        "PASSWORD": password,
        "HOST": str(where.sockets),
        "PORT": str(PORT),
        "OPTIONS": {},
    }


def _base(data_dir: Path, *, elsewhere: Path) -> Path:
    """What exists goes first: a cluster must not seem lost when a mode changes."""
    if os.geteuid() != 0 or (data_dir / "postgresql").exists():
        return data_dir
    if elsewhere.exists() or not reachable(data_dir):
        return elsewhere
    return data_dir


def reachable(path: Path) -> bool:
    """Whether any account may pass through to this path, as far as it exists."""
    return all(
        parent.stat().st_mode & stat.S_IXOTH
        for parent in (path, *path.parents)
        if parent.exists()
    )


def make_directory(path: Path, *, mode: int) -> None:
    """Make it and its missing parents with this mode, whatever the umask says."""
    missing = [place for place in (path, *path.parents) if not place.exists()]
    for place in reversed(missing):
        try:
            place.mkdir(exist_ok=True)
            place.chmod(mode)
        except OSError as error:
            message = f"Cannot make the data directory {place}: {error.strerror}."
            raise CannotStart(message) from None
    if not path.is_dir():
        message = f"{path} must be a directory."
        raise CannotStart(message)


def make_data_dir(path: Path) -> None:
    """The data directory, writable for us; its secrets have modes of their own."""
    make_directory(path, mode=0o711 if os.geteuid() == 0 else 0o700)
    if not os.access(path, os.W_OK | os.X_OK):
        message = f"Cannot write to the data directory {path}: permission denied."
        raise CannotStart(message)


def make_private(path: Path, *, owner: int, group: int) -> None:
    """A directory that only this user can enter; refuse one somebody else made."""
    try:
        path.mkdir(mode=0o700)
        os.chown(path, owner, group)
    except FileExistsError:
        pass
    except OSError as error:
        message = f"Cannot make the directory {path}: {error.strerror}."
        raise CannotStart(message) from None
    found = path.lstat()
    private = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
    if not private or found.st_uid != owner:
        message = f"{path} must be a directory of mode 0700 that user {owner} owns."
        raise CannotStart(message)


def make_empty(path: Path) -> None:
    """Make a directory of ours, or take the files out of it."""
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        for file in path.iterdir():
            file.unlink()
    except OSError as error:
        message = f"Cannot empty the directory {path}: {error.strerror}."
        raise CannotStart(message) from None


def lock(data_dir: Path, *, sleep: Callable[[float], None] = time.sleep) -> IO[str]:
    """Hold the data directory until the answer is closed or this process ends."""
    path = data_dir / LOCK_NAME
    try:
        file = path.open("a+")
    except OSError as error:
        message = f"Cannot write to the data directory {data_dir}: {error.strerror}."
        raise CannotStart(message) from None
    deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                sleep(0.1)
                continue
            file.seek(0)
            holder = file.read().strip() or "unknown"
            message = f"Flux already runs in {data_dir} (process {holder})."
            raise CannotStart(message) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        return file
