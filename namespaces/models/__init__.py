"""The tables of tenants (`tenants`) and of the shop (`shop`)."""

from namespaces.models.shop import Attempt, Owner, ProviderEvent, Purchase
from namespaces.models.tenants import (
    AuditEntry,
    Bucket,
    Namespace,
    RuntimeConfig,
    Secret,
    Token,
    Usage,
    UsageCursor,
)

__all__ = [
    "Attempt",
    "AuditEntry",
    "Bucket",
    "Namespace",
    "Owner",
    "ProviderEvent",
    "Purchase",
    "RuntimeConfig",
    "Secret",
    "Token",
    "Usage",
    "UsageCursor",
]
