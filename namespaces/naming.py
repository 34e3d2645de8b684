"""Names for namespaces whose makers think of none: two words, such as `dawn-coral`.

Invariant: what is proposed is a valid name that no namespace has or ever had; one that
a person can say to anybody, and that looks like nobody's in particular.
"""

from pathlib import Path

import coolname

from flux_project.errors import Unavailable
from namespaces import names
from namespaces.models import Namespace

_WORDS = 2
# The library knows some 370,000 pairs. So many are drawn, and looked up, at once.
_DRAWN = 20
_ATTEMPTS = 10

_FILE = Path(__file__).parent / "left_out.txt"
LEFT_OUT = frozenset(
    word
    for line in _FILE.read_text().splitlines()
    if not line.startswith("#")
    for word in line.split()
)


class NoNameLeft(Unavailable):
    """No name was found that nobody has had yet: choose one."""


def propose() -> str:
    """A name that is free now. Raises NoNameLeft."""
    for _ in range(_ATTEMPTS):
        drawn = [coolname.generate_slug(_WORDS) for _ in range(_DRAWN)]
        fine = [name for name in drawn if is_suited(name)]
        had = Namespace.objects.filter(name__in=fine).values_list("name", flat=True)
        taken = set(had)
        for name in fine:
            if name not in taken:
                return names.checked_name(name)
    raise NoNameLeft


def is_suited(name: str) -> bool:
    """Whether none of its words is one that we leave out."""
    return LEFT_OUT.isdisjoint(name.split("-"))
