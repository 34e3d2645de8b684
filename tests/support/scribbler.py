"""A client that writes at random over HTTP, in every way there is to write.

Invariant: every answer is one that this request may get, and `answered` says of which
entity each acknowledged seq is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from urllib.parse import quote

from tests.support.client import Answer, Api
from tests.support.roaming import World, change

LARGEST_BATCH = 8


@dataclass
class Scribbler:
    """Each request goes to one of the world's servers."""

    world: World
    random: Random
    answered: dict[int, str] = field(default_factory=dict)  # seq → entity
    _apis: Sequence[Api] = ()

    def __call__(self) -> None:
        """Writes once."""
        if not self._apis:
            self._apis = [Api(port) for port in self.world.ports]
        ways = [self._publish] * 5 + [self._publish_batch] * 4
        self.random.choice([*ways, self._delete, self._delete_batch])()

    def close(self) -> None:
        for api in self._apis:
            api.close()

    @property
    def _api(self) -> Api:
        return self.random.choice(self._apis)

    def _note(self, entity_id: str, seq: int) -> None:
        assert seq not in self.answered, seq
        self.answered[seq] = entity_id

    def _publish(self) -> None:
        one = change(self.world, self.random)
        answer = self._api.post("/api/events", one)
        assert answer.status == 200, answer
        self._note(one["payload"]["entity_id"], answer.json["seq"])

    def _publish_batch(self) -> None:
        count = self.random.randint(1, LARGEST_BATCH)
        events = [change(self.world, self.random) for _ in range(count)]
        answer = self._api.post("/api/events/batch", {"events": events})
        assert answer.status == 200, answer
        for one, result in zip(events, answer.json["results"], strict=True):
            assert result["error"] is None, answer
            self._note(one["payload"]["entity_id"], result["seq"])

    def _delete(self) -> None:
        entity_id = self.world.entity_id(self.random)
        path = f"/api/state/entities/{quote(entity_id, safe='')}"
        answer = self._api.ask("DELETE", path)
        assert answer.status in {200, 404}, answer

    def _delete_batch(self) -> None:
        ids = {self.world.entity_id(self.random) for _ in range(3)}
        wanted: dict[str, object] = self.random.choice(
            [
                {"prefix": self.random.choice(self.world.spaces)},
                {"namespace": f"{self.world.tag}a"},
                {"entity_ids": sorted(ids)},
            ]
        )
        answer: Answer = self._api.post("/api/state/entities/delete", wanted)
        assert answer.status == 200, answer
