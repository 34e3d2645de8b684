"""Django's system checks for what an operator may have got wrong.

Each has a number that stays its own. `manage.py check` shows them, and the start of
Flux logs them.
"""

import ipaddress
from collections.abc import Callable, Iterator, Sequence

from django.apps.config import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Warning, register

from flux_project import env, origins, selling


@register()
def unknown_variables(
    app_configs: Sequence[AppConfig] | None, **options: object
) -> list[CheckMessage]:
    """A misspelt variable would otherwise be ignored in silence."""
    return [
        Warning(
            f"{name} is set, but no setting has that name.",
            hint="`.env.example` lists them all.",
            id="flux.W001",
        )
        for name in env.unknown()
    ]


@register()
def risky_settings(
    app_configs: Sequence[AppConfig] | None, **options: object
) -> list[CheckMessage]:
    """Settings that are valid each, and together not what anybody can mean."""
    return list(risks())


def risks() -> Iterator[CheckMessage]:
    """What the settings in force put at risk."""
    for check in _CHECKS:
        yield from check()


def _tokens_in_clear() -> Iterator[CheckMessage]:
    is_local = origins.is_loopback(settings.FLUX_HOST)
    if settings.FLUX_AUTH_ENABLED and not is_local and not _is_https():
        yield Warning(
            f"Others can reach FLUX_HOST={settings.FLUX_HOST}, and FLUX_PUBLIC_URL is"
            " no https address: tokens and passwords may travel in clear.",
            hint="Put a proxy that speaks TLS in front, and name its address there.",
            id="flux.W002",
        )


def _registration_without_tokens() -> Iterator[CheckMessage]:
    if settings.FLUX_OPEN_REGISTRATION and not settings.FLUX_AUTH_ENABLED:
        yield Warning(
            "FLUX_OPEN_REGISTRATION means nothing without FLUX_AUTH_ENABLED: in open"
            " mode everybody writes everywhere.",
            hint="Set FLUX_AUTH_ENABLED=true, or leave both away.",
            id="flux.W003",
        )


def _proxy_unknown() -> Iterator[CheckMessage]:
    if _is_https() and not settings.FLUX_TRUSTED_PROXIES:
        yield Warning(
            "FLUX_PUBLIC_URL is https, and no proxy is trusted to say so: pages are"
            " redirected without end, and the audit log and the limits by address"
            " take everybody for the proxy.",
            hint="Name the proxy's address in FLUX_TRUSTED_PROXIES.",
            id="flux.W004",
        )


def _everybody_trusted() -> Iterator[CheckMessage]:
    for proxy in settings.FLUX_TRUSTED_PROXIES:
        if ipaddress.ip_network(proxy).prefixlen == 0:
            yield Warning(
                f"FLUX_TRUSTED_PROXIES has {proxy}: everybody may say which address"
                " theirs is, and so escapes the limits and the audit log.",
                hint="Name the proxy's own address or network.",
                id="flux.W005",
            )


def _mails_unsent() -> Iterator[CheckMessage]:
    if _sells() and settings.EMAIL_BACKEND == selling.PRINTING:
        yield Warning(
            f"FLUX_BILLING={settings.FLUX_BILLING}, and there is no EMAIL_URL: receipts"
            " and sign-in links are only printed, so that no buyer gets one and the log"
            " has what lets people in.",
            hint="Name a mail server there: smtp+tls://user:password@host:587.",
            id="flux.W006",
        )


def _selling_without_address() -> Iterator[CheckMessage]:
    if _sells() and not settings.FLUX_PUBLIC_URL:
        yield Warning(
            f"FLUX_BILLING={settings.FLUX_BILLING}, and there is no FLUX_PUBLIC_URL:"
            " the links in mails lead to this machine's own name.",
            hint="Name the address there by which buyers reach this server.",
            id="flux.W007",
        )


def _play_money() -> Iterator[CheckMessage]:
    """Payments that are none, where strangers can make them."""
    kind, key = settings.FLUX_BILLING, settings.FLUX_STRIPE_SECRET_KEY
    is_test = kind == selling.STRIPE and "_test_" in key[:8]
    if _is_https() and (is_test or kind == selling.DEMO):
        what = "a test key of Stripe's" if is_test else "FLUX_BILLING=demo"
        yield Warning(
            f"{settings.FLUX_PUBLIC_URL} sells with {what}: whoever comes gets"
            " namespaces, and nobody pays.",
            hint="Sell with a live key (sk_live_…, rk_live_…), or by another address.",
            id="flux.W008",
        )


def _money_and_debug() -> Iterator[CheckMessage]:
    if settings.FLUX_BILLING == selling.STRIPE and settings.DEBUG:
        yield Warning(
            "FLUX_BILLING=stripe with DEBUG=true: a fault shows settings and what"
            " buyers sent to whoever caused it.",
            hint="Set DEBUG=false.",
            id="flux.W009",
        )


def _another_stripe() -> Iterator[CheckMessage]:
    host = origins.host_name(str(settings.FLUX_STRIPE_API).partition("://")[2])
    is_ours = not host or origins.is_loopback(host)
    if settings.FLUX_BILLING == selling.STRIPE and not is_ours:
        yield Warning(
            f"FLUX_STRIPE_API={settings.FLUX_STRIPE_API}: whoever is there gets the"
            " key, and says what is paid.",
            hint="Leave it empty: that is Stripe's own address.",
            id="flux.W010",
        )


def _sells() -> bool:
    """Not the demo's checkout, which is for trying out on one machine."""
    return settings.FLUX_BILLING in {selling.FREE, selling.STRIPE}


def _is_https() -> bool:
    return str(settings.FLUX_PUBLIC_URL).startswith("https://")


_CHECKS: tuple[Callable[[], Iterator[CheckMessage]], ...] = (
    _tokens_in_clear,
    _registration_without_tokens,
    _proxy_unknown,
    _everybody_trusted,
    _mails_unsent,
    _selling_without_address,
    _play_money,
    _money_and_debug,
    _another_stripe,
)
