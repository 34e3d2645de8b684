"""The tests' own PostgreSQL: one cluster per run, in a temporary directory.

Importing this module decides where; `tests.support.settings` does it before Django
reads its settings. The server itself starts with the first test that needs it.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from flux_project import places
from flux_project.embedded import EmbeddedPostgres

DIRECTORY = Path(tempfile.mkdtemp(prefix="flux-test-")).resolve()
DIRECTORY.chmod(0o711)  # PostgreSQL's account must pass through it
PASSWORD = secrets.token_urlsafe(12)
DATABASE = "flux"
API_DATABASE = "flux_api"
BINDIR = os.environ.get("FLUX_TEST_PG_BINDIR", "")
# A test run need not survive a power cut; tests of durability start their own Flux.
OPTIONS = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}

_WHERE = places.locate(DIRECTORY / "session")


def database_url(name: str) -> str:
    user = f"{places.USER}:{PASSWORD}"
    host = quote(str(_WHERE.sockets), safe="")
    return f"postgresql://{user}@/{name}?host={host}&port={places.PORT}"


def environment() -> dict[str, str]:
    """The variables of a test run: none of the developer's own settings leak in.

    Nor do the tests' settings leak into the processes that tests start.
    """
    ours = {"DATABASE_URL", "SECRET_KEY", "DEBUG", "PORT", "DJANGO_SETTINGS_MODULE"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ours and not name.startswith(("FLUX_", "PG"))
    }
    return kept | {
        "FLUX_ENV_FILE": os.devnull,
        "FLUX_DATA_DIR": str(DIRECTORY / "django"),
        "DATABASE_URL": database_url(DATABASE),
        "SECRET_KEY": "a key for the tests alone, and as long as that of a real server",
    }


@contextmanager
def running() -> Iterator[EmbeddedPostgres]:
    places.make_data_dir(_WHERE.data_dir)
    server = EmbeddedPostgres(
        _WHERE,
        password=PASSWORD,
        options=OPTIONS,
        bindir=Path(BINDIR) if BINDIR else None,
    )
    try:
        server.start()
        yield server
    finally:
        server.stop()


def remove(data_dir: Path) -> None:
    """A data directory and what belongs to it elsewhere."""
    where = places.locate(data_dir)
    for path in {where.sockets, where.base, data_dir}:
        shutil.rmtree(path, ignore_errors=True)


def remove_everything() -> None:
    remove(_WHERE.data_dir)
    shutil.rmtree(DIRECTORY, ignore_errors=True)
