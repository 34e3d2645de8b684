"""The provider that the settings choose, and those that older purchases were made with.

Only the modules of those that are used are imported: an SDK takes its time and memory.
"""

from functools import lru_cache
from importlib import import_module

from django.conf import settings

from flux_project.errors import NotFound
from namespaces.billing import Provider

_MODULES = {name: f"namespaces.billing.{name}" for name in ("free", "demo", "stripe")}


class NothingForSale(NotFound):
    """This server sells no namespaces: ask its operator for one."""

    code = "nothing_for_sale"


def provider() -> Provider:
    """The one for new purchases. Raises NothingForSale."""
    name = settings.FLUX_BILLING
    if name not in _MODULES:
        raise NothingForSale
    return named(name)


@lru_cache
def named(name: str) -> Provider:
    """A provider by its name, which a purchase keeps."""
    found: Provider = import_module(_MODULES[name]).provider()
    return found
