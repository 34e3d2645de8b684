"""A cluster's files: made once, and the settings it runs with.

Invariant: a cluster is whole or not there, so an interrupted first start leaves nothing
that a second one could mistake for a database.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from flux_project import places
from flux_project.binaries import Programs
from flux_project.places import Places
from flux_project.sentences import CannotStart

MIN_BUILTIN_LOCALES = 17  # the first version with locales of its own

# Durability is PostgreSQL's default and is said here so that nobody has to look it up.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": str(places.PORT),
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "4GB",
    "min_wal_size": "256MB",
    "checkpoint_completion_target": "0.9",
    "wal_compression": "off",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
}


def create(where: Places, programs: Programs, *, password: str) -> None:
    """Made beside its place and renamed. CannotStart carries initdb's last words."""
    draft = where.base / "postgresql.new"
    if draft.exists():
        shutil.rmtree(draft)
    who = programs.account
    places.make_private(draft, owner=who.uid, group=who.gid)
    secret = where.sockets / "password"
    secret.unlink(missing_ok=True)
    secret.touch(mode=0o600)
    secret.write_text(password)
    os.chown(secret, who.uid, who.gid)
    try:
        _initdb(draft, secret, programs)
    finally:
        secret.unlink()
    draft.rename(where.cluster)
    base = os.open(where.base, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(base)  # a power cut must not take the new name back
    os.close(base)


def write_config(where: Places, options: Mapping[str, str]) -> None:
    """Written at each start, so that a newer Flux brings its newer settings."""
    settings = {
        **SETTINGS,
        "unix_socket_directories": str(where.sockets),
        **options,
    }
    lines = [f"include = '{where.cluster.name}/postgresql.conf'"]
    for name, value in settings.items():
        quoted = value.replace("'", "''")
        lines.append(f"{name} = '{quoted}'")
    where.config.write_text("\n".join([*lines, ""]))
    where.config.chmod(0o644)


def _initdb(draft: Path, secret: Path, programs: Programs) -> None:
    command = [str(programs.bindir / "initdb"), "-D", str(draft), "-U", places.USER]
    command += [f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8"]
    command += _locale(programs)
    done = subprocess.run(  # noqa: S603  our own program and arguments
        command, capture_output=True, text=True, **programs.child_options()
    )
    if done.returncode != 0:
        words = " ".join(done.stderr.split()[-40:])
        message = f"PostgreSQL's initdb failed: {words}"
        raise CannotStart(message)


def _locale(programs: Programs) -> list[str]:
    """Sorting by code point, the same on every system."""
    said = subprocess.run(  # noqa: S603  our own program
        [str(programs.bindir / "postgres"), "-V"],
        capture_output=True,
        text=True,
        check=True,
        **programs.child_options(),
    )
    version = said.stdout.split()[2]
    if int(version.split(".")[0]) < MIN_BUILTIN_LOCALES:
        return ["--locale=C.UTF-8"]
    return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
