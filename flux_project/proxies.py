"""Whose word is taken for where a request comes from: FLUX_TRUSTED_PROXIES alone.

uvicorn's middleware does the work: for a connection of such a proxy the client is the
last address in X-Forwarded-For that is none of them, and X-Forwarded-Proto the scheme.
It stands around the application, so it serves WebSockets too, and under any server.
Invariant: of any other connection these headers mean nothing; and where a client has an
address at all, it is an IP address, whatever a header says.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any, cast

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from flux_project.gate import Application, Receive, Scope, Send

_PEER = "flux.peer"
_MAPPED_BITS = 96


def behind(application: Application, proxies: Sequence[str]) -> Application:
    """The application as these proxies' clients see it; as it is where there are none.

    proxies: addresses and networks, checked by `env.networks`.
    """
    if not proxies:
        return application
    trusted = [form for proxy in proxies for form in _forms(proxy)]

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_address(scope.get("client")):
            scope["client"] = scope[_PEER]
        await application(scope, receive, send)

    forwarded = ProxyHeadersMiddleware(cast(Any, checked), trusted_hosts=trusted)

    async def outermost(scope: Scope, receive: Receive, send: Send) -> None:
        scope[_PEER] = scope.get("client")
        await forwarded(cast(Any, scope), cast(Any, receive), cast(Any, send))

    return outermost


def _forms(proxy: str) -> Iterator[str]:
    """A socket that listens on :: shows IPv4 addresses as ::ffff:10.0.0.7."""
    yield proxy
    network = ipaddress.ip_network(proxy)
    if network.version == 4:
        yield f"::ffff:{network.network_address}/{_MAPPED_BITS + network.prefixlen}"


def _is_address(client: Any) -> bool:
    try:
        ipaddress.ip_address(client[0])
    except (ValueError, TypeError):
        return False
    return True
