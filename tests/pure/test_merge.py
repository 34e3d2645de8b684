"""The rule of derivation (contract §2): a Change against the plainest reading of it."""

import json
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from state import replay
from state.merge import Change

Values = dict[str, object]
KEYS = ["a", "b", "c", "__deleted__", "ä"]


@dataclass(frozen=True)
class Said:
    """An event: what it sets and unsets."""

    properties: Values
    unset: tuple[str, ...]

    def payload(self) -> bytes:
        return json.dumps(
            {"entity_id": "x", "properties": self.properties, "unset": self.unset}
        ).encode()


@dataclass
class Entity:
    """The reference: an entity as a dict, or None."""

    properties: Values | None = None
    version: int = 0

    def apply(self, said: Said) -> None:
        if said.properties.get("__deleted__") is True:
            self.properties, self.version = None, 0
            return
        kept = {
            key: value
            for key, value in (self.properties or {}).items()
            if key not in said.unset
        }
        self.properties = kept | said.properties
        self.version += 1


said = st.builds(
    Said,
    st.dictionaries(
        st.sampled_from(KEYS), st.sampled_from([1, None, True, "ü", {"deep": [1]}])
    ),
    st.lists(st.sampled_from(KEYS), max_size=3).map(tuple),
)


def stored(before: Values | None, change: Change) -> Values | None:
    """What `merge.sql` makes of a change, in Python."""
    if not change.exists:
        return None
    standing = {} if change.restarts else dict(before or {})
    for key in change.unset:
        standing.pop(key, None)
    merged: Values = standing | json.loads(change.set_text)
    return merged


@settings(max_examples=70, deadline=None)
@given(st.lists(st.lists(said, min_size=1, max_size=5), max_size=4))
def test_grouping_never_shows(groups: list[list[Said]]) -> None:
    reference = Entity()
    properties: Values | None = None
    seq = 0
    for group in groups:
        change = Change("x", "default", version=reference.version)
        for one in group:
            seq += 1
            reference.apply(one)
            change.apply(replay.effect_of(one.payload()), seq)
        properties = stored(properties, change)
        assert properties == reference.properties
        assert change.exists == (reference.properties is not None)
        assert change.version == reference.version
        assert change.seq == seq


@settings(max_examples=20, deadline=None)
@given(st.lists(said, min_size=1, max_size=4), said)
def test_a_copy_leaves_its_original_alone(events: list[Said], more: Said) -> None:
    change = Change("x", "default", version=3)
    for seq, one in enumerate(events, 1):
        change.apply(replay.effect_of(one.payload()), seq)
    before = (change.exists, change.version, change.seq, change.unset)
    text = change.set_text
    change.copy().apply(replay.effect_of(more.payload()), 9)
    assert (change.exists, change.version, change.seq, change.unset) == before
    assert change.set_text == text


def test_values_keep_their_very_text() -> None:
    change = Change("x", "default")
    change.apply(replay.effect_of(b'{"properties":{"a":1.10,"b":1e2}}'), 1)
    change.apply(replay.effect_of(b'{"properties":{"c":123456789012345678901.0}}'), 2)
    assert change.set_text == b'{"a":1.10,"b":1e2,"c":123456789012345678901.0}'


def test_only_true_is_a_tombstone() -> None:
    for value in (b"1", b'"true"', b"null", b"false", b"[true]"):
        text = b'{"properties":{"__deleted__":%b}}' % value
        assert not replay.effect_of(text).is_tombstone
    assert replay.effect_of(b'{"properties":{"__deleted__" : true }}').is_tombstone
    spelled = b'{"properties":{"\\u005f_deleted__":true}}'
    assert replay.effect_of(spelled).is_tombstone


def test_the_last_of_equal_keys_decides() -> None:
    twice = b'{"properties":{"__deleted__":true,"__deleted__":false}}'
    assert not replay.effect_of(twice).is_tombstone
