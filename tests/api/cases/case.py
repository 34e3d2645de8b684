"""One bad request and the refusal that it must get."""

import json
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """code: the error's; at: its `field`, None for an error without one."""

    name: str
    method: str
    path: str
    body: bytes | None
    status: int
    code: str
    at: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


def text(value: object) -> bytes:
    return json.dumps(value).encode()
