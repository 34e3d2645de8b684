"""The kinds of connectors that Flux has (contract §8). Pure.

None runs yet, so each is `not_configured`; the list already tells clients what will be.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """name: how the API addresses it; type: how it gets its data."""

    name: str
    type: str


KINDS = (
    Kind("github", "poll"),
    Kind("http_json", "poll"),
    Kind("ics", "poll"),
    Kind("rss", "poll"),
    Kind("singer", "poll"),
    Kind("webhook", "push"),
)


def listing() -> dict[str, object]:
    """The answer of `GET /api/connectors`."""
    return {
        "connectors": [
            {
                "name": kind.name,
                "enabled": False,
                "status": "not_configured",
                "type": kind.type,
            }
            for kind in KINDS
        ]
    }
