"""Which entities a list or a batch delete means (contract §§3, 4). Pure.

A namespace's entities and those of a prefix are each one stretch of ids in code point
order, so every selection but the namespace `default` is a range of the primary key.
"""

from dataclasses import dataclass

from namespaces import names


@dataclass(frozen=True, slots=True)
class Selection:
    """Entities by namespace and/or prefix (both: AND), or these very ids.

    ids: in the order given, each once; None unless the client listed them.
    """

    namespace: str | None = None
    prefix: str | None = None
    ids: tuple[str, ...] | None = None

    def bounds(self) -> tuple[str, str | None]:
        """The range of ids it can match: from (inclusive), to (exclusive, None: end).

        For the namespace `default` the range alone is not enough: `is_default`.
        """
        low, high = "", None
        if self.prefix:
            low, high = self.prefix, successor(self.prefix)
        if self.namespace is not None and not self.is_default:
            stretch = self.namespace + "/"
            low = max(low, stretch)
            ends = [end for end in (high, successor(stretch)) if end is not None]
            high = min(ends) if ends else None
        return low, high

    @property
    def is_default(self) -> bool:
        """Whether it asks for `default`, which also holds the ids without a slash."""
        return self.namespace == names.DEFAULT_NAMESPACE

    def matches(self, entity_id: str) -> bool:
        """Whether an id belongs to it."""
        if self.ids is not None:
            return entity_id in self.ids
        namespace = names.namespace_of(entity_id)
        return (self.namespace is None or namespace == self.namespace) and (
            self.prefix is None or entity_id.startswith(self.prefix)
        )


def successor(prefix: str) -> str | None:
    """The least text above all that start with `prefix`; None: there is none."""
    for end in range(len(prefix) - 1, -1, -1):
        code = ord(prefix[end]) + 1
        if 0xD800 <= code <= 0xDFFF:
            code = 0xE000
        if code <= 0x10FFFF:
            return prefix[:end] + chr(code)
    return None
