"""The log's tables. Written through `events.log` alone; the models serve the admin.

Invariant: `events_event` is append-only (triggers refuse everything else), and no
foreign key leads out of it.
"""

from django.db import models


class Event(models.Model):
    """One stored event: what a producer said, and its place in history."""

    seq = models.BigIntegerField(primary_key=True)
    event_id = models.TextField()
    stream = models.TextField()
    source = models.TextField()
    key = models.TextField(null=True)  # noqa: DJ001  null and "" differ on the wire
    schema = models.TextField(null=True)  # noqa: DJ001  null and "" differ on the wire
    namespace = models.TextField()
    entity_id = models.TextField(db_collation="C")
    occurred_at = models.BigIntegerField(help_text="epoch ms, the producer's clock")
    recorded_at = models.DateTimeField(help_text="when the server committed it")
    token = models.TextField(null=True)  # noqa: DJ001  null: written in open mode
    payload = models.TextField(help_text="the exact JSON text that was published")

    class Meta:
        indexes = (
            models.Index(fields=["entity_id", "seq"], name="events_event_entity_seq"),
        )

    def __str__(self) -> str:
        return f"#{self.seq} {self.stream} {self.entity_id}"


class Log(models.Model):
    """The log itself, one row: which log this is, and the registry's version."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    log_id = models.UUIDField()
    registry_version = models.BigIntegerField(default=0)

    class Meta:
        constraints = (
            models.CheckConstraint(condition=models.Q(id=1), name="events_log_one_row"),
        )

    def __str__(self) -> str:
        return str(self.log_id)


class Idempotency(models.Model):
    """SHA-256 of (namespace, eventId) → where that event stands in the log.

    Only for ids that the client gave. A digest, as long ids do not fit an index.
    """

    digest = models.BinaryField(primary_key=True, max_length=32)
    seq = models.BigIntegerField()
    stream = models.TextField()

    def __str__(self) -> str:
        return f"#{self.seq}"
