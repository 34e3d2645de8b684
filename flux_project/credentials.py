"""The secrets of the first start, one file of mode 0600 in the data directory.

Invariant: the file appears whole or not at all, and is never written a second time; of
two first starts at once, the second takes what the first one made.
"""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from flux_project.sentences import CannotStart

FILE_NAME = "secrets.json"


@dataclass(frozen=True)
class Secrets:
    secret_key: str
    admin_token: str
    admin_password: str
    database_password: str


def load(data_dir: Path) -> Secrets | None:
    """The secrets of an earlier start; None before the first one."""
    path = data_dir / FILE_NAME
    try:
        return Secrets(**json.loads(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        message = f"Cannot read {path}: permission denied (is it another user's?)."
        raise CannotStart(message) from None
    except (ValueError, TypeError):
        message = f"{path} is damaged: restore it from a backup."
        raise CannotStart(message) from None


def create(data_dir: Path) -> Secrets:
    """Make the secrets unless they exist; either way, return those in force."""
    made = Secrets(
        secret_key=secrets.token_urlsafe(48),
        admin_token=secrets.token_urlsafe(24),
        admin_password=secrets.token_urlsafe(12),
        database_password=secrets.token_urlsafe(24),
    )
    path = data_dir / FILE_NAME
    draft = data_dir / f".{FILE_NAME}.{os.getpid()}"
    try:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(made), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    except OSError as error:
        message = f"Cannot write to the data directory {data_dir}: {error.strerror}."
        raise CannotStart(message) from None
    return load(data_dir) or made
