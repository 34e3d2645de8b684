"""`/api/purchases` and the payment provider's webhook (contract §6 *Purchase*)."""

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flux_project import addresses, api, openapi
from flux_project.errors import NotFound
from flux_project.reply import Reply, encode, ok
from namespaces import claiming, purchasing, requests, settling, shown
from namespaces.billing import chosen
from namespaces.models import Purchase
from namespaces.views import TenantEndpoint

NO_STORE = (("Cache-Control", "no-store"),)


class NoSuchWebhook(NotFound):
    """This server expects no calls of this payment provider."""

    code = "unknown_route"


class PurchaseViewSet(TenantEndpoint):
    """Namespaces are bought here by programs; people have `/register`."""

    purchase: Purchase

    def admit(self, request: Request) -> None:
        """The claim secret goes before what is wrong with the body (§0)."""
        if self.action == "create":
            chosen.provider()
            return
        self.purchase = purchasing.found(
            str(self.kwargs["purchase_id"]),
            request.headers.get("Authorization"),
            address=api.address(request),
        )

    @extend_schema(**openapi.BUY)
    def create(self, request: Request) -> HttpResponse:
        """Begin to buy a namespace: its checkout, and the secret to claim it with."""
        given = requests.decoded(api.body(request))
        begun = purchasing.begin(
            given.get("email"),
            base_url=addresses.of(request._request),
            address=api.address(request),
        )
        answer = {**shown.begun(begun.purchase), "claim_secret": begun.secret}
        return api.respond(Reply(201, encode(answer), NO_STORE))

    @extend_schema(**openapi.READ_PURCHASE)
    def retrieve(self, request: Request, purchase_id: str) -> HttpResponse:
        """How far a purchase is."""
        purchasing.nudge(self.purchase)
        answer = encode(shown.purchase(self.purchase))
        return api.respond(Reply(200, answer, NO_STORE))

    @extend_schema(**openapi.CLAIM)
    def claim(self, request: Request, purchase_id: str) -> HttpResponse:
        """Get the token of what was bought, which is shown this once."""
        claimed = claiming.claim(self.purchase, address=api.address(request))
        found = claimed.namespace
        answer = {"namespaceId": found.id, "name": found.name, "token": claimed.text}
        return api.respond(Reply(200, encode(answer), NO_STORE))


class StripeWebhook(TenantEndpoint):
    """Where Stripe says that something has changed."""

    def admit(self, request: Request) -> None:
        # Also when others sell by now: what was bought before may be given back.
        if not settings.FLUX_STRIPE_WEBHOOK_SECRET:
            raise NoSuchWebhook

    @extend_schema(**openapi.STRIPE_WEBHOOK)
    def create(self, request: Request) -> HttpResponse:
        """Take a call that Stripe signed; a job then asks Stripe what is true."""
        signature = request.headers.get("Stripe-Signature", "")
        address = api.address(request)
        settling.heard("stripe", api.body(request), signature, address=address)
        return api.respond(ok({"received": True}))
