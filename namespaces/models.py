"""Who may write what, and how much: tenants, their tokens, their use, and who changed
any of it.

Invariant: what `namespaces.registry` holds in memory is made of `Namespace`, `Token`
and `Secret`, so every change of them takes a version (`namespaces.change`).
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import CompositePrimaryKey
from django.db.models.functions import Now


class RuntimeConfig(models.Model):
    """The values an operator changes while Flux runs (contract §7), one row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    rate_limit_enabled = models.BooleanField(default=True)
    rate_limit_per_namespace_per_minute = models.BigIntegerField(default=10_000)
    body_size_limit_single_bytes = models.BigIntegerField(default=1 << 20)
    body_size_limit_batch_bytes = models.BigIntegerField(default=10 << 20)
    registrations_per_address_per_hour = models.BigIntegerField(default=60)
    failed_tokens_per_address_per_minute = models.BigIntegerField(default=600)

    class Meta:
        verbose_name_plural = "runtime config"
        constraints = (
            models.CheckConstraint(
                condition=models.Q(id=1), name="namespaces_runtimeconfig_one_row"
            ),
        )

    def __str__(self) -> str:
        return "runtime config"


class Owner(models.Model):
    """Whoever bought a namespace: an e-mail address, read by a person."""

    id = models.BigAutoField(primary_key=True)
    email = models.TextField(unique=True, db_collation="C")
    created_at = models.DateTimeField(db_default=Now())
    # Its name is django-sesame's: a link works until the next sign-in.
    last_login = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.email


class Namespace(models.Model):
    """A tenant. Its row stays when it is deleted, so that its name is never reused."""

    id = models.TextField(primary_key=True, db_collation="C")
    name = models.TextField(unique=True, db_collation="C")
    created_at = models.DateTimeField(db_default=Now())
    suspended_at = models.DateTimeField(null=True)
    suspended_because = models.TextField(default="", db_default="")
    deleted_at = models.DateTimeField(null=True)
    version = models.BigIntegerField(db_index=True)
    owner = models.ForeignKey(
        Owner,
        on_delete=models.PROTECT,
        null=True,
        related_name="namespaces",
        db_index=False,
    )

    class Meta:
        indexes = (models.Index(fields=("owner",), name="namespaces_namespace_owner"),)

    def __str__(self) -> str:
        return self.name


class Token(models.Model):
    """What one program may do in one namespace. Its secrets change, it stays."""

    id = models.TextField(primary_key=True, db_collation="C")
    namespace = models.ForeignKey(
        Namespace, on_delete=models.PROTECT, related_name="tokens", db_index=False
    )
    label = models.TextField()
    scopes = ArrayField(models.TextField())
    prefix = models.TextField(null=True)  # noqa: DJ001  null: the whole namespace
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    version = models.BigIntegerField(db_index=True)

    class Meta:
        # Declared here, it comes without the one for LIKE that a foreign key would add.
        indexes = (models.Index(fields=("namespace",), name="namespaces_token_ns"),)

    def __str__(self) -> str:
        return f"{self.label} ({self.id})"


class Secret(models.Model):
    """SHA-256 of a token's text. Two are valid while a rotation's overlap lasts."""

    digest = models.BinaryField(primary_key=True, max_length=32)
    token = models.ForeignKey(
        Token, on_delete=models.CASCADE, related_name="secrets", db_index=False
    )
    made_at = models.DateTimeField(db_default=Now())
    valid_until = models.DateTimeField(null=True)

    class Meta:
        indexes = (models.Index(fields=("token",), name="namespaces_secret_token"),)

    def __str__(self) -> str:
        return f"a secret of {self.token_id}"


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


class Bucket(models.Model):
    """What a namespace has spent of its rate limit, in millionths of an event.

    It runs out again at the limit's rate; a namespace without a row has spent nothing.
    """

    namespace = models.TextField(primary_key=True, db_collation="C")
    spent = models.BigIntegerField()
    at = models.DateTimeField(help_text="when so much was spent")

    def __str__(self) -> str:
        return self.namespace


class Usage(models.Model):
    """What a namespace did in one hour: events stored, and writes over its limit."""

    pk = CompositePrimaryKey("namespace", "hour")
    namespace = models.TextField(db_collation="C")
    hour = models.DateTimeField()
    events = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "usage"
        indexes = (models.Index(fields=("hour",), name="namespaces_usage_hour"),)

    def __str__(self) -> str:
        return f"{self.namespace} {self.hour:%Y-%m-%d %H:00}"


class UsageCursor(models.Model):
    """Up to which seq the log is counted in `Usage`, one row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    seq = models.BigIntegerField(default=0)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(id=1), name="namespaces_usagecursor_one_row"
            ),
        )

    def __str__(self) -> str:
        return f"counted up to #{self.seq}"


class AuditEntry(models.Model):
    """Who changed what, when, from where. Append-only; never holds a secret."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(db_default=Now(), db_index=True)
    actor = models.TextField(help_text="who: a user, a token, the admin token, …")
    channel = models.TextField(help_text="how: admin, api or command")
    address = models.TextField(default="", help_text="from where")
    action = models.TextField(help_text="what, such as namespace.suspend")
    target = models.TextField(help_text="of what: a namespace, a token, …")
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        verbose_name_plural = "audit log"

    def __str__(self) -> str:
        return f"{self.action} {self.target}"
