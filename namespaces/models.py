"""Runtime configuration; tenants join it later."""

from django.db import models


class RuntimeConfig(models.Model):
    """The values an operator changes while Flux runs (contract §7), one row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    rate_limit_enabled = models.BooleanField(default=True)
    rate_limit_per_namespace_per_minute = models.BigIntegerField(default=10_000)
    body_size_limit_single_bytes = models.BigIntegerField(default=1 << 20)
    body_size_limit_batch_bytes = models.BigIntegerField(default=10 << 20)

    class Meta:
        verbose_name_plural = "runtime config"
        constraints = (
            models.CheckConstraint(
                condition=models.Q(id=1), name="namespaces_runtimeconfig_one_row"
            ),
        )

    def __str__(self) -> str:
        return "runtime config"
