"""Who bought what, and what the payment providers told of it.

Invariant: what was not paid for has no namespace, and no two purchases have the same:
the table itself refuses it.
"""

from django.db import models
from django.db.models.functions import Now

from namespaces.models.tenants import Namespace, Token


class Owner(models.Model):
    """Whoever bought a namespace: an e-mail address, read by a person."""

    id = models.BigAutoField(primary_key=True)
    email = models.TextField(unique=True, db_collation="C")
    created_at = models.DateTimeField(db_default=Now())
    # Its name is django-sesame's: a link works until the next sign-in.
    last_login = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.email


class Purchase(models.Model):
    """A namespace that somebody buys, from the first click to the token.

    pending: not paid yet. paid: the provider confirmed the money. provisioned: its
    namespace exists. claimed: its token was made. expired: it was never paid. refunded:
    the money went back, and the namespace is suspended.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        PAID = "paid"
        PROVISIONED = "provisioned"
        CLAIMED = "claimed"
        EXPIRED = "expired"
        REFUNDED = "refunded"

    id = models.TextField(primary_key=True, db_collation="C")
    claim_digest = models.BinaryField(max_length=32)
    state = models.TextField(choices=State.choices, default=State.PENDING)
    email = models.TextField()
    network = models.TextField(help_text="whose, for the throttle; an IPv6 /64")
    provider = models.TextField()
    amount = models.BigIntegerField(help_text="in the currency's smallest unit")
    currency = models.TextField()
    refunded = models.BigIntegerField(default=0, db_default=0)
    checkout_ref = models.TextField(default="", db_default="")
    checkout_url = models.TextField(default="", db_default="")
    payment_ref = models.TextField(default="", db_default="")
    receipt_url = models.TextField(default="", db_default="")
    trouble = models.TextField(
        default="", db_default="", help_text="why it cannot go on by itself"
    )
    # Grows with each look at the provider: an older answer than the last is not used.
    revision = models.BigIntegerField(default=0, db_default=0)
    namespace = models.OneToOneField(
        Namespace, on_delete=models.PROTECT, null=True, related_name="purchase"
    )
    claim_token = models.ForeignKey(
        Token, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    looked_at = models.DateTimeField(null=True)
    paid_at = models.DateTimeField(null=True)
    provisioned_at = models.DateTimeField(null=True)
    claimed_at = models.DateTimeField(null=True)
    disputed_at = models.DateTimeField(null=True)
    refunded_at = models.DateTimeField(null=True)

    class Meta:
        indexes = (
            models.Index(fields=("created_at", "id"), name="namespaces_purchase_made"),
            models.Index(
                fields=("state", "created_at"), name="namespaces_purchase_state"
            ),
            models.Index(
                fields=("email", "created_at"), name="namespaces_purchase_email"
            ),
            models.Index(
                fields=("payment_ref",),
                condition=~models.Q(payment_ref=""),
                name="namespaces_purchase_payment",
            ),
            # Those that may need somebody's look: they are few.
            models.Index(
                fields=("created_at", "id"),
                condition=(
                    ~models.Q(trouble="")
                    | models.Q(disputed_at__isnull=False)
                    | models.Q(state="paid")
                ),
                name="namespaces_purchase_odd",
            ),
            # What a month brought is summed up from this alone.
            models.Index(
                fields=("paid_at",),
                include=("provider", "currency", "amount", "refunded"),
                condition=models.Q(paid_at__isnull=False),
                name="namespaces_purchase_taken",
            ),
        )
        constraints = (
            models.UniqueConstraint(
                fields=("provider", "checkout_ref"),
                condition=~models.Q(checkout_ref=""),
                name="namespaces_purchase_checkout",
            ),
            models.CheckConstraint(
                # What was not paid for has no namespace; what is claimed has one.
                condition=(
                    models.Q(state__in=("pending", "paid", "expired"), namespace=None)
                    | models.Q(
                        state__in=("provisioned", "claimed"), namespace__isnull=False
                    )
                    | models.Q(state="refunded")
                ),
                name="namespaces_purchase_given",
            ),
        )

    def __str__(self) -> str:
        return self.id


class ProviderEvent(models.Model):
    """A call of a payment provider's webhook, which was noted once and for all."""

    id = models.TextField(primary_key=True, db_collation="C")
    provider = models.TextField()
    kind = models.TextField()
    made_at = models.DateTimeField(help_text="by the provider's clock")
    received_at = models.DateTimeField(db_default=Now())
    handled_at = models.DateTimeField(null=True)
    order_id = models.TextField(default="", help_text="the purchase, as it names it")
    checkout_ref = models.TextField(default="")
    payment_ref = models.TextField(default="")
    purchase = models.ForeignKey(
        Purchase,
        on_delete=models.PROTECT,
        null=True,
        related_name="events",
        db_index=False,
    )

    class Meta:
        indexes = (
            models.Index(fields=("purchase",), name="namespaces_event_purchase"),
            models.Index(
                fields=("received_at",),
                condition=models.Q(handled_at=None),
                name="namespaces_event_waiting",
            ),
            models.Index(
                fields=("received_at", "id"),
                condition=models.Q(handled_at__isnull=False, purchase=None),
                name="namespaces_event_stranger",
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Attempt(models.Model):
    """Something that anyone may ask for, counted by who asks. Kept for a day."""

    id = models.BigAutoField(primary_key=True)
    kind = models.TextField()
    key = models.TextField(help_text="a network, or the digest of an address")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = (
            models.Index(fields=("kind", "key", "at"), name="namespaces_attempt_key"),
            models.Index(fields=("at",), name="namespaces_attempt_at"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"
