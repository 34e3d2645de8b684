"""A fake Stripe: a real HTTP server with the part of its API that Flux uses.

    with stripe_fake.running() as fake:
        server = servers.serve(database, FLUX_BILLING="stripe", **fake.settings)
        …                                        # Flux makes a session: fake.calls
        event = fake.pay(fake.latest_session())  # as the page at the session's url does
        fake.deliver(event, to=webhook)          # at once, late, twice, forged, never
        fake.deliver_all_to(webhook)             # or each by itself, as soon as made
        fake.fail_next(3, OUTAGE)                # calls that go wrong, retries included
        with fake.away(): …                      # nobody listens there

What it takes is written from Stripe's API reference, so that a parameter that Stripe
would refuse is refused here.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tests.support.stripe_objects import StripeEvent, sign
from tests.support.stripe_server import (
    BUSY,
    DECLINED,
    OUTAGE,
    Fault,
    StripeCall,
    StripeServer,
)
from tests.support.stripe_world import StripeWorld

__all__ = ["BUSY", "DECLINED", "OUTAGE", "StripeEvent", "StripeFake", "running"]

SECRET_KEY = "sk_test_of_the_fake_0123456789"
WEBHOOK_SECRET = "whsec_of_the_fake_0123456789"
PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class Delivery:
    """status: what the webhook answered, 0 for nothing."""

    event: StripeEvent
    status: int


class StripeFake(StripeWorld):
    secret_key = SECRET_KEY
    webhook_secret = WEBHOOK_SECRET

    def __init__(self) -> None:
        super().__init__()
        self.deliveries: list[Delivery] = []
        self._webhook = ""
        # One thread: in the order in which they were made.
        self._postman = ThreadPoolExecutor(max_workers=1)
        self._posted: list[Future[int]] = []
        self._server = StripeServer(self, SECRET_KEY)
        self._thread = _serve(self._server)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        return {
            "FLUX_STRIPE_SECRET_KEY": SECRET_KEY,
            "FLUX_STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "FLUX_STRIPE_API": self.url,
        }

    @property
    def calls(self) -> list[StripeCall]:
        return self._server.calls

    def calls_of(self, method: str, path: str) -> list[StripeCall]:
        return [
            call
            for call in self.calls
            if call.method == method and call.path.startswith(path)
        ]

    # Trouble.

    def fail_next(self, n: int, fault: Fault) -> None:
        with self.lock:
            self._server.faults += [fault] * n

    def recover(self) -> None:
        """The failures that did not come yet never will."""
        with self.lock:
            self._server.faults.clear()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Connections are refused; afterwards all is as it was, at the same port."""
        gone = self._server
        gone.end()
        self._thread.join(PATIENCE_SECONDS)
        try:
            yield
        finally:
            self._server = StripeServer(self, SECRET_KEY, port=self.port)
            self._server.take_over(gone)
            self._thread = _serve(self._server)

    # Webhooks.

    def deliver(
        self,
        event: StripeEvent,
        *,
        to: str = "",
        secret: str = WEBHOOK_SECRET,
        age_seconds: float = 0,
        body: bytes | None = None,
    ) -> int:
        """The status that the webhook answers.

        to: by default that of `deliver_all_to`. secret, age_seconds: of the signature.
        body: another one than what was signed.
        """
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": sign(event.body, secret, age_seconds=age_seconds),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        sent = event.body if body is None else body
        try:
            with httpx.Client(trust_env=False, timeout=PATIENCE_SECONDS) as client:
                answer = client.post(to or self._webhook, content=sent, headers=headers)
            status = answer.status_code
        except httpx.TransportError:
            status = 0
        self.deliveries.append(Delivery(event, status))
        return status

    def deliver_all_to(self, url: str) -> None:
        """From now on each event is delivered by itself, once; "": none is."""
        self._webhook = url

    def tell(self, event: StripeEvent) -> None:
        if self._webhook:
            to = self._webhook
            self._posted.append(self._postman.submit(self.deliver, event, to=to))

    def wait_until_delivered(self) -> None:
        """All that `deliver_all_to` began."""
        late = wait(self._posted, timeout=PATIENCE_SECONDS).not_done
        assert not late, f"{len(late)} events are still on their way"

    def close(self) -> None:
        self._webhook = ""
        self._postman.shutdown(cancel_futures=True)
        self._server.end()
        self._thread.join(PATIENCE_SECONDS)


def _serve(server: StripeServer) -> threading.Thread:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    return thread


@contextmanager
def running() -> Iterator[StripeFake]:
    fake = StripeFake()
    try:
        yield fake
    finally:
        fake.close()
