"""An order, and our Stripe provider that talks to a fake of Stripe."""

from msgspec import structs

from namespaces.billing import Order
from namespaces.billing.stripe import Stripe
from tests.support.stripe_fake import StripeFake

ORDER = Order("pur_1", "ada@example.org", 900, "usd")
DONE_URL = "https://flux.example/register/done?purchase=pur_1"
BACK_URL = "https://flux.example/register"


def client(fake: StripeFake, *, timeout: float = 10, retries: int = 0) -> Stripe:
    """retries: none, as the SDK waits half a second before each."""
    return Stripe(
        fake.secret_key,
        fake.webhook_secret,
        api=fake.url,
        timeout=timeout,
        retries=retries,
    )


def opened(provider: Stripe, order: Order = ORDER) -> Order:
    """The order with its checkout."""
    made = provider.open(order, done_url=DONE_URL, back_url=BACK_URL)
    return structs.replace(order, checkout_ref=made.ref)
