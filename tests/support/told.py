"""Events as listeners are told of them, made from what a client would publish."""

import json
from collections.abc import Sequence
from typing import Any

from events.envelope import effect_of
from state.frames import Standing, Told

MOMENT = 1_764_064_800_123_456  # 2025-11-25T10:00:00.123456Z


def told(seq: int, entity_id: str, payload: dict[str, Any] | str) -> Told:
    """The event of a payload, which lacks its entity_id."""
    text = payload if isinstance(payload, str) else json.dumps(payload)
    full = f'{{"entity_id":{json.dumps(entity_id)},{text[1:]}'
    properties, unset, is_tombstone = effect_of(full.encode())
    effect = Standing(entity_id, properties, "", "", unset, is_tombstone)
    return Told(effect, seq=seq, recorded_at=MOMENT)


def decoded(texts: Sequence[bytes]) -> list[dict[str, Any]]:
    return [json.loads(text) for text in texts]
