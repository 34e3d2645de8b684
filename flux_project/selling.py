"""The settings of the shop and of e-mail, read from the environment and checked.

Invariant: what cannot be meant stops the start and says which setting is wrong, so that
no server sells what it cannot give, or gives what was not paid for.
"""

from email.utils import parseaddr
from typing import NoReturn
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from msgspec import Struct

from flux_project import env, origins
from namespaces import money
from namespaces.money import Price

OFF, FREE, DEMO, STRIPE = "off", "free", "demo", "stripe"
PRINTING = "django.core.mail.backends.console.EmailBackend"
_KINDS = (OFF, FREE, DEMO, STRIPE)
_DEMO_PRICE = "9.00 USD"
_NOTHING = Price(0, "usd")
SHORTEST_KEY = 16  # characters; Stripe's own are far longer
_SMTP_PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}
_SMTP_EXAMPLE = (
    "EMAIL_URL must look like smtp+tls://user:password@host:587"
    " (also smtp:// and smtps://), or be console:."
)


class Selling(Struct, frozen=True):
    """kind: one of off, free, demo, stripe. stripe_api: "" is Stripe's own address."""

    kind: str
    price: Price
    stripe_key: str
    stripe_webhook_secret: str
    stripe_api: str


def read(*, is_auth: bool, debug: bool) -> Selling:
    """Raises ImproperlyConfigured."""
    kind = env.choice("FLUX_BILLING", default=OFF, options=_KINDS)
    price = _price(kind)
    found = Selling(
        kind,
        price,
        stripe_key=env.text("FLUX_STRIPE_SECRET_KEY"),
        stripe_webhook_secret=env.text("FLUX_STRIPE_WEBHOOK_SECRET"),
        stripe_api=env.site("FLUX_STRIPE_API"),
    )
    if kind != OFF and not is_auth:
        _refuse(f"FLUX_BILLING={kind} needs FLUX_AUTH_ENABLED=true: open mode has no"
                " namespaces to sell.")  # fmt: skip
    if kind == DEMO and not debug:
        _refuse("FLUX_BILLING=demo gives namespaces away without any payment: it is for"
                " trying out, and needs DEBUG=true.")  # fmt: skip
    if kind == STRIPE:
        _check_stripe(found)
    return found


def _price(kind: str) -> Price:
    default = _DEMO_PRICE if kind == DEMO else ""
    raw = env.text("FLUX_PRICE").strip() or default
    if not raw:
        if kind == STRIPE:
            _refuse(f"FLUX_BILLING=stripe needs FLUX_PRICE: {money.RULE}.")
        return _NOTHING
    try:
        price = money.parse(raw)
    except ValueError as error:
        _refuse(f"FLUX_PRICE {error}")
    if kind in {DEMO, STRIPE} and price.amount == 0:
        _refuse("FLUX_PRICE must be more than nothing; FLUX_BILLING=free gives away.")
    return _NOTHING if kind == FREE else price


def _check_stripe(found: Selling) -> None:
    key, secret, api = found.stripe_key, found.stripe_webhook_secret, found.stripe_api
    if not key.startswith(("sk_", "rk_")) or len(key) < SHORTEST_KEY:
        _refuse("FLUX_BILLING=stripe needs FLUX_STRIPE_SECRET_KEY: the secret key of"
                " the account (sk_…), or a restricted one (rk_…).")  # fmt: skip
    if not secret.startswith("whsec_") or len(secret) < SHORTEST_KEY:
        _refuse("FLUX_BILLING=stripe needs FLUX_STRIPE_WEBHOOK_SECRET: the signing"
                " secret of the webhook's endpoint (whsec_…).")  # fmt: skip
    host = origins.host_name(api.partition("://")[2])
    if api.startswith("http://") and not origins.is_loopback(host):
        _refuse("FLUX_STRIPE_API must be https: the key would travel in clear.")


def _refuse(message: str) -> NoReturn:
    raise ImproperlyConfigured(message)


class Mail(Struct, frozen=True):
    """How mails are sent. Without a server's name they are printed to the log."""

    backend: str = PRINTING
    host: str = "localhost"
    port: int = 25
    user: str = ""
    password: str = ""
    use_tls: bool = False
    use_ssl: bool = False


def mail() -> Mail:
    """What EMAIL_URL says. Raises ImproperlyConfigured."""
    raw = env.text("EMAIL_URL").strip()
    if raw in {"", "console:", "console://"}:
        return Mail()
    try:
        parts = urlsplit(raw)
        port = parts.port
    except ValueError:
        raise ImproperlyConfigured(_SMTP_EXAMPLE) from None
    extra = parse_qs(parts.query) or parts.path.strip("/")
    if parts.scheme not in _SMTP_PORTS or not parts.hostname or extra:
        raise ImproperlyConfigured(_SMTP_EXAMPLE)
    return Mail(
        backend="django.core.mail.backends.smtp.EmailBackend",
        host=parts.hostname,
        port=port or _SMTP_PORTS[parts.scheme],
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        use_tls=parts.scheme == "smtp+tls",
        use_ssl=parts.scheme == "smtps",
    )


def email_from(public_url: str) -> str:
    """Whom mails come from: FLUX_EMAIL_FROM, or no-reply at the public address."""
    host = origins.host_name(public_url.partition("://")[2]) or "localhost"
    raw = env.text("FLUX_EMAIL_FROM").strip() or f"Flux <no-reply@{host}>"
    _, address = parseaddr(raw)
    if not raw.isprintable() or "@" not in address:
        message = "FLUX_EMAIL_FROM must be an address such as Flux <flux@example.org>."
        raise ImproperlyConfigured(message)
    return raw


def contact() -> str:
    """FLUX_CONTACT: how to reach the operator, an address of e-mail or of a page."""
    raw = env.text("FLUX_CONTACT").strip()
    is_page = raw.startswith(("https://", "http://"))
    if raw and not (raw.isprintable() and " " not in raw and (is_page or "@" in raw)):
        message = (
            "FLUX_CONTACT must be an e-mail address or the address of a page, such as"
            f" ops@example.org or https://example.org/contact, not {raw!r}."
        )
        raise ImproperlyConfigured(message)
    return raw
