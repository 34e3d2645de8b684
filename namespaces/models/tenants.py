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
        "namespaces.Owner",
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
