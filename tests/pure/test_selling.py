"""The shop's settings and those of e-mail: what cannot be meant stops the start."""

from collections.abc import Mapping

import pytest
from django.core.exceptions import ImproperlyConfigured

from flux_project import selling
from flux_project.selling import Mail, Selling
from namespaces.money import Price

KEY, SECRET = "sk_test_4eC39HqLyjWDarjt", "whsec_5WbX5kEWLlfzsGNj"
STRIPE = {
    "FLUX_BILLING": "stripe",
    "FLUX_PRICE": "9.00 EUR",
    "FLUX_STRIPE_SECRET_KEY": KEY,
    "FLUX_STRIPE_WEBHOOK_SECRET": SECRET,
}
SMTP = "django.core.mail.backends.smtp.EmailBackend"
NOTHING = Price(0, "usd")


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*STRIPE, "FLUX_STRIPE_API", "EMAIL_URL", "FLUX_EMAIL_FROM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("FLUX_CONTACT", raising=False)


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


def read(
    env: pytest.MonkeyPatch,
    given: Mapping[str, str],
    *,
    is_auth: bool = True,
    debug: bool = False,
) -> Selling:
    for name, value in given.items():
        env.setenv(name, value)
    return selling.read(is_auth=is_auth, debug=debug)


# --- what is sold, and how -------------------------------------------------------


def test_nothing_is_sold_unless_somebody_says_so(env: pytest.MonkeyPatch) -> None:
    for is_auth in (True, False):
        found = read(env, {}, is_auth=is_auth)
        assert (found.kind, found.price) == ("off", NOTHING)


def test_what_is_free_costs_nothing_whatever_the_price(env: pytest.MonkeyPatch) -> None:
    assert read(env, {"FLUX_BILLING": "free"}).price == NOTHING
    assert read(env, {"FLUX_PRICE": "9.00 EUR"}).price == NOTHING


def test_the_demo_has_a_price_of_its_own(env: pytest.MonkeyPatch) -> None:
    found = read(env, {"FLUX_BILLING": " Demo "}, debug=True)
    assert found.price == Price(900, "usd")
    assert read(env, {"FLUX_PRICE": "5 JPY"}, debug=True).price == Price(5, "jpy")


@pytest.mark.parametrize("key", [KEY, "rk_live_4eC39HqLyjWDarjt"])
def test_stripe_sells_for_a_price_with_its_keys(
    env: pytest.MonkeyPatch, key: str
) -> None:
    found = read(env, {**STRIPE, "FLUX_STRIPE_SECRET_KEY": key})
    assert found == Selling("stripe", Price(900, "eur"), key, SECRET, "")


@pytest.mark.parametrize(
    "api", ["http://127.0.0.1:12111", "http://localhost:1", "https://stripe.example"]
)
def test_stripes_address_may_be_another(env: pytest.MonkeyPatch, api: str) -> None:
    assert read(env, {**STRIPE, "FLUX_STRIPE_API": api}).stripe_api == api


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"FLUX_BILLING": "paypal"}, "FLUX_BILLING must be one of off, free, demo"),
        ({"FLUX_PRICE": ""}, "FLUX_PRICE: an amount and a currency"),
        ({"FLUX_PRICE": "9"}, "FLUX_PRICE must be an amount and a currency"),
        ({"FLUX_PRICE": "9 ISK"}, "FLUX_PRICE cannot be in ISK"),
        ({"FLUX_PRICE": "9.999 EUR"}, "FLUX_PRICE has more decimals than EUR"),
        ({"FLUX_PRICE": "0.00 EUR"}, "FLUX_PRICE must be more than nothing"),
        ({"FLUX_STRIPE_SECRET_KEY": ""}, "FLUX_STRIPE_SECRET_KEY"),
        ({"FLUX_STRIPE_SECRET_KEY": "pk_test_x"}, "FLUX_STRIPE_SECRET_KEY"),
        ({"FLUX_STRIPE_WEBHOOK_SECRET": ""}, "FLUX_STRIPE_WEBHOOK_SECRET"),
        ({"FLUX_STRIPE_WEBHOOK_SECRET": KEY}, "FLUX_STRIPE_WEBHOOK_SECRET"),
        ({"FLUX_STRIPE_API": "http://stripe.example"}, "FLUX_STRIPE_API must be https"),
        ({"FLUX_STRIPE_API": "stripe.example"}, "FLUX_STRIPE_API"),
    ],
)
def test_stripe_with_something_wrong_is_refused_by_name(
    env: pytest.MonkeyPatch, changes: dict[str, str], named: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match=named) as refusal:
        read(env, {**STRIPE, **changes})
    for secret in (KEY, SECRET):
        assert secret not in str(refusal.value)


@pytest.mark.parametrize("kind", ["free", "demo", "stripe"])
def test_open_mode_has_nothing_to_sell(env: pytest.MonkeyPatch, kind: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="FLUX_AUTH_ENABLED=true"):
        read(env, {**STRIPE, "FLUX_BILLING": kind}, is_auth=False, debug=True)


def test_nothing_is_given_away_as_if_it_were_paid(env: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImproperlyConfigured, match="DEBUG=true"):
        read(env, {"FLUX_BILLING": "demo"})


def test_a_demo_for_nothing_is_refused(env: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImproperlyConfigured, match="FLUX_BILLING=free gives away"):
        read(env, {"FLUX_BILLING": "demo", "FLUX_PRICE": "0 EUR"}, debug=True)


# --- e-mail ----------------------------------------------------------------------


@pytest.mark.parametrize("url", [None, "", "  ", "console:", "console://"])
def test_without_a_mail_server_mails_are_printed(
    env: pytest.MonkeyPatch, url: str | None
) -> None:
    if url is not None:
        env.setenv("EMAIL_URL", url)
    assert selling.mail() == Mail(backend=selling.PRINTING)


@pytest.mark.parametrize(
    ("url", "mail"),
    [
        ("smtp://mail.example", Mail(SMTP, "mail.example", 25)),
        ("smtp://127.0.0.1:2525", Mail(SMTP, "127.0.0.1", 2525)),
        ("smtp://[::1]:2525/", Mail(SMTP, "::1", 2525)),
        ("smtp+tls://m.example", Mail(SMTP, "m.example", 587, use_tls=True)),
        ("smtps://m.example", Mail(SMTP, "m.example", 465, use_ssl=True)),
        (
            " smtp+tls://ada%40example.org:p%2Fw%3A%25@m.example:25 ",
            Mail(SMTP, "m.example", 25, "ada@example.org", "p/w:%", use_tls=True),
        ),
    ],
)
def test_a_mail_server_is_one_address(
    env: pytest.MonkeyPatch, url: str, mail: Mail
) -> None:
    env.setenv("EMAIL_URL", url)
    assert selling.mail() == mail


@pytest.mark.parametrize(
    "url",
    [
        "mail.example",
        "mail.example:25",
        "https://mail.example",
        "smtp:mail.example",
        "smtp://",
        "smtp://:25",
        "smtp://mail.example:port",
        "smtp://mail.example:99999",
        "smtp://mail.example/inbox",
        "smtp://mail.example?tls=true",
        "smtp://s3cret:s3cret@mail.example:s3cret",
        "smtp://[::1",
    ],
)
def test_what_is_no_mail_server_is_refused_without_its_password(
    env: pytest.MonkeyPatch, url: str
) -> None:
    env.setenv("EMAIL_URL", url)
    with pytest.raises(ImproperlyConfigured, match="EMAIL_URL must look like") as said:
        selling.mail()
    assert "s3cret" not in str(said.value)


@pytest.mark.parametrize(
    ("public_url", "sender"),
    [
        ("", "Flux <no-reply@localhost>"),
        ("https://flux.example.org", "Flux <no-reply@flux.example.org>"),
        ("https://flux.example.org:8443", "Flux <no-reply@flux.example.org>"),
    ],
)
def test_mails_come_from_the_public_address(public_url: str, sender: str) -> None:
    assert selling.email_from(public_url) == sender


def test_mails_come_from_whom_the_operator_says(env: pytest.MonkeyPatch) -> None:
    for raw in ("ops@example.org", "Flux at Example <flux@example.org>"):
        env.setenv("FLUX_EMAIL_FROM", f" {raw} ")
        assert selling.email_from("https://flux.example.org") == raw


@pytest.mark.parametrize(
    "raw", ["nobody", "Flux <>", "Flux <nobody>", "a@b.org\nBcc: c@d.org"]
)
def test_a_sender_that_is_none_is_refused(env: pytest.MonkeyPatch, raw: str) -> None:
    env.setenv("FLUX_EMAIL_FROM", raw)
    with pytest.raises(ImproperlyConfigured, match="FLUX_EMAIL_FROM"):
        selling.email_from("")


@pytest.mark.parametrize(
    "raw", ["", "ops@example.org", "https://example.org/contact", "http://[::1]:3000/"]
)
def test_the_operator_is_reached_by_mail_or_at_a_page(
    env: pytest.MonkeyPatch, raw: str
) -> None:
    env.setenv("FLUX_CONTACT", f" {raw} ")
    assert selling.contact() == raw


@pytest.mark.parametrize(
    "raw",
    ["ask us", "javascript:alert(1)", "ftp://example.org", "a b@example.org", "a@b\0"],
)
def test_what_reaches_nobody_is_refused(env: pytest.MonkeyPatch, raw: str) -> None:
    if "\0" in raw:
        raw = raw.replace("\0", "\x1b")  # a variable cannot hold the other
    env.setenv("FLUX_CONTACT", raw)
    with pytest.raises(ImproperlyConfigured, match="FLUX_CONTACT"):
        selling.contact()
