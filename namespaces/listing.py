"""Which namespaces there are, for who administrates them."""

from collections.abc import Iterator

from namespaces.models import Namespace


def namespaces(*, are_all: bool = False) -> Iterator[Namespace]:
    """In the order of their names. are_all: with those that were deleted."""
    found = Namespace.objects.order_by("name")
    if not are_all:
        found = found.filter(deleted_at=None)
    yield from found.iterator()
