"""Typed readers of the environment. Invariant: a bad value stops the start, by name.

Every reader remembers the name it was asked for, so that an unknown `FLUX_…` variable
(a typing error, most often) can be told from a known one.
"""

import ipaddress
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

_TRUE = {"true", "1", "yes"}
_FALSE = {"false", "0", "no"}
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9])?", re.IGNORECASE)
_SITE = re.compile(
    rf"(?P<host>{_HOST.pattern}|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?",
    re.IGNORECASE | re.ASCII,
)
_PORTS = {"http": ":80", "https": ":443"}

known: set[str] = set()


def load_file(path: Path) -> None:
    """Take `NAME=value` lines of a `.env` file; what is already set goes first."""
    if not path.is_file():
        return
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            message = f"{path.name}, line {number}, is not of the form NAME=value."
            raise ImproperlyConfigured(message)
        name, value = match.groups()
        if value[:1] in {"'", '"'} and value[-1:] == value[:1]:
            value = value[1:-1]
        found[name] = value
    for name, value in found.items():
        os.environ.setdefault(name, value)


def unknown() -> list[str]:
    """Variables that begin like ours but that nothing reads."""
    return sorted(
        name for name in os.environ if name.startswith("FLUX_") and name not in known
    )


def is_set(name: str) -> bool:
    known.add(name)
    return name in os.environ


def text(name: str, default: str = "") -> str:
    known.add(name)
    return os.environ.get(name, default)


def boolean(name: str, *, default: bool) -> bool:
    """`true|1|yes` or `false|0|no`, any case; anything else refuses to start."""
    raw = text(name).strip().lower()
    if not raw:
        return default
    if raw in _TRUE:
        return True
    if raw in _FALSE:
        return False
    message = f"{name} must be true or false (also 1, 0, yes, no), not {raw!r}."
    raise ImproperlyConfigured(message)


def integer(name: str, *, default: int, low: int, high: int) -> int:
    raw = text(name).strip()
    if not raw:
        return default
    try:
        value = int(raw)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        message = f"{name} must be a whole number from {low} to {high}, not {raw!r}."
        raise ImproperlyConfigured(message)
    return value


def choice(name: str, *, default: str, options: tuple[str, ...]) -> str:
    raw = text(name).strip().lower() or default
    if raw not in options:
        message = f"{name} must be one of {', '.join(options)}, not {raw!r}."
        raise ImproperlyConfigured(message)
    return raw


def names(name: str) -> list[str]:
    """A comma-separated list; blanks are dropped."""
    return [part.strip() for part in text(name).split(",") if part.strip()]


def hosts(name: str) -> list[str]:
    """Host names without scheme or port, in lower case."""
    found = [part.lower() for part in names(name)]
    for part in found:
        if not _HOST.fullmatch(part):
            message = (
                f"{name} must list host names without scheme or port, "
                f"such as flux.example.org, not {part!r}."
            )
            raise ImproperlyConfigured(message)
    return found


def origins(name: str) -> list[str]:
    """Origins as browsers send them (`https://example.org:8443`), or `*` alone."""
    found = [part.lower() for part in names(name)]
    if found == ["*"]:
        return found
    for part in found:
        if not _is_origin(part):
            message = (
                f"{name} must be * or list origins "
                f"such as https://example.org:8443, not {part!r}."
            )
            raise ImproperlyConfigured(message)
    return found


def site(name: str) -> str:
    """`http(s)://host[:port]` as browsers write it in an `Origin`; "" if none is set.

    Neither a path nor a user; no port that the scheme implies.
    """
    raw = text(name).strip().lower()
    if not raw:
        return ""
    scheme, separator, rest = raw.partition("://")
    match = _SITE.fullmatch(rest)
    port = match and match["port"]
    is_fine = scheme in _PORTS and separator and match and _is_host(match["host"])
    if not is_fine or (port and not 1 <= int(port) <= 65_535):
        message = (
            f"{name} must be of the form https://flux.example.org"
            f" or http://flux.example.org:3000, without a path, not {raw!r}."
        )
        raise ImproperlyConfigured(message)
    return raw.removesuffix(_PORTS[scheme])


def _is_host(host: str) -> bool:
    if not host.startswith("["):
        return True
    try:
        return ipaddress.ip_address(host[1:-1]).version == 6
    except ValueError:
        return False


def networks(name: str) -> list[str]:
    """Addresses and networks in CIDR form, as `10.0.0.7, 192.168.0.0/16, fd00::/8`."""
    found = names(name)
    for part in found:
        try:
            ipaddress.ip_network(part)  # of an address: a network of its own
        except ValueError:
            message = (
                f"{name} must list IP addresses and networks"
                f" such as 10.0.0.7 or 192.168.0.0/16, not {part!r}."
            )
            raise ImproperlyConfigured(message) from None
    return found


def secret(name: str, *, least: int) -> str:
    """A key or token; one of fewer characters can be guessed, and refuses to start.

    Empty is allowed: what that means is the setting's own.
    """
    value = text(name)
    if value and len(value.strip()) < least:
        message = f"{name} must have at least {least} characters."
        raise ImproperlyConfigured(message)
    return value


def _is_origin(text: str) -> bool:
    scheme, separator, rest = text.partition("://")
    return bool(separator and scheme and rest) and not set(rest) & set("/?#@* ")


def database(url: str) -> dict[str, Any]:
    """`postgresql://user:password@host:port/name` as Django's settings for it.

    Parameters of libpq may follow (`?host=/run/postgresql&sslmode=require`); `host`
    names a socket directory, the others go to the driver as they are.
    """
    example = "DATABASE_URL must look like postgresql://user:password@host:5432/name."
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ImproperlyConfigured(example) from None
    if parts.scheme not in {"postgres", "postgresql"} or len(parts.path) <= 1:
        raise ImproperlyConfigured(example)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path[1:]),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", "") or unquote(parts.hostname or ""),
        "PORT": query.pop("port", "") or str(port or ""),
        "OPTIONS": query,
    }
