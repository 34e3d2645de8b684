"""The derived state. Written through `state.store` alone; the models serve the admin.

Invariant: every row but the directory's is a pure function of the log.
"""

from django.db import models
from django.db.models import Func
from django.db.models.functions import Cast


class Entity(models.Model):
    """One entity as it is now."""

    id = models.TextField(primary_key=True, db_collation="C")
    namespace = models.TextField()
    properties = models.JSONField()
    size = models.GeneratedField(
        expression=Func(
            Cast("properties", models.TextField()), function="octet_length"
        ),
        output_field=models.IntegerField(),
        db_persist=True,
        help_text="bytes of the properties' text form",
    )
    version = models.BigIntegerField(help_text="events applied since it was created")
    seq = models.BigIntegerField(help_text="its newest event")
    updated_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "entities"
        indexes = (
            models.Index(
                fields=["id"],
                name="state_entity_default",
                condition=models.Q(namespace="default"),
            ),
        )

    def __str__(self) -> str:
        return self.id


class Count(models.Model):
    """How many entities a namespace has; moved in the transaction that changes it."""

    namespace = models.TextField(primary_key=True, db_collation="C")
    entities = models.BigIntegerField()
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.namespace}: {self.entities}"
