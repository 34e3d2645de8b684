"""Who shows tokens that are no good, too often: bounded by address, in each process.

A secret of 256 bits cannot be guessed; this keeps those who try from costing the
database a look each. Invariant: memory is bounded, and a good token that this process
knows, as it does half a second after it was made, is never refused.
"""

import ipaddress
import time
from collections.abc import Callable

from flux_project import metrics
from flux_project.errors import RateLimited
from namespaces import config

WINDOW_SECONDS = 60
# Beyond, the window of all begins anew.
MOST_ADDRESSES = 10_000
# What one customer of a provider has at least (RFC 6177).
_IPV6_PREFIX = 64


class TooManyFailures(RateLimited):
    """Too many tokens from this address were no good; try again later."""

    code = "too_many_failed_tokens"


class Failures:
    """How many failed from each address, in the current window."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._counts: dict[str, int] = {}

    def check(self, address: str) -> None:
        """Raises TooManyFailures for an address that has failed too often."""
        most = config.current().failed_tokens_per_address_per_minute
        now = self._clock()
        passed = now - self._since
        if passed >= WINDOW_SECONDS:
            self._since, self._counts = now, {}
        elif self._counts.get(bucket_of(address), 0) >= most:
            raise TooManyFailures(retry_after=int(WINDOW_SECONDS - passed) + 1)

    def count(self, address: str) -> None:
        """Notes a failure."""
        metrics.FAILED_TOKENS.inc()
        if len(self._counts) >= MOST_ADDRESSES:
            self._counts = {}
        key = bucket_of(address)
        self._counts[key] = self._counts.get(key, 0) + 1


def bucket_of(address: str) -> str:
    """What counts as one address: of IPv6, the network that one customer has."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""  # a socket of the file system, or a test's
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        network = ipaddress.ip_network((found, _IPV6_PREFIX), strict=False)
        return str(network)
    return str(found)


failures = Failures()
