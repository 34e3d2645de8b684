"""Which hosts and origins may speak to this server (contract §0). Pure.

Open mode needs no token, so these two checks are what keeps a web site that a person
happens to visit from the local state: the Origin stops its scripts, the Host stops DNS
rebinding. Invariant: a request without an Origin (curl, agents) is never affected by
it.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from flux_project.errors import Forbidden, Invalid

# A name, an IPv4 address or an IPv6 literal, and a port (RFC 9110 §7.2, without what no
# client sends).
_HOST = re.compile(r"(?:[\w.-]+|\[[0-9a-fA-F:.]+\])(?::[0-9]{0,5})?", re.ASCII)


class HostNotAllowed(Invalid):
    """This server does not answer to that host name."""

    code = "host_not_allowed"


class OriginNotAllowed(Forbidden):
    """Pages of that origin may not use this server."""

    code = "origin_not_allowed"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings allow.

    origins: exact origins, or `*`; empty: the mode's default.
    hosts: names that are allowed beside loopback names and IP addresses.
    """

    is_open_mode: bool
    origins: Sequence[str] = ()
    hosts: Sequence[str] = ()

    def check_host(self, host: str | None) -> None:
        """Raises HostNotAllowed for a Host header that this server does not serve."""
        if not host:
            return
        if not _HOST.fullmatch(host):
            message = f"{host[:100]!r} is not a host name with an optional port."
            raise HostNotAllowed(message)
        if not self.is_open_mode and not self.hosts:
            return
        name = host_name(host)
        if not (is_loopback(name) or _is_address(name) or self._is_listed(name)):
            message = (
                f"This server does not answer to the host name {name[:100]!r};"
                " FLUX_ALLOWED_HOSTS allows further names."
            )
            raise HostNotAllowed(message)

    def _is_listed(self, name: str) -> bool:
        return "*" in self.hosts or name in self.hosts

    def check_origin(self, origin: str, host: str | None) -> str:
        """What `Access-Control-Allow-Origin` says to it. Raises OriginNotAllowed."""
        if "*" in self.origins or (not self.origins and not self.is_open_mode):
            return "*"
        if origin in self.origins or _is_same(origin, host):
            return origin
        if not self.origins and is_loopback(_origin_host(origin)):
            return origin
        message = (
            f"Pages of the origin {origin[:100]!r} may not use this server;"
            " FLUX_ALLOWED_ORIGINS allows further ones."
        )
        raise OriginNotAllowed(message)


def host_name(host: str) -> str:
    """The name in a Host header, without its port, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].rstrip(".").lower()


def is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _origin_host(origin: str) -> str:
    try:
        parts = urlsplit(origin)
        return parts.hostname or "" if parts.scheme in {"http", "https"} else ""
    except ValueError:
        return ""


def _is_same(origin: str, host: str | None) -> bool:
    """A page of this server itself; its Host was checked before."""
    return bool(host) and origin in {f"http://{host}", f"https://{host}"}
