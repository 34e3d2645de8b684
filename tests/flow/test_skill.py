"""The skill against a real server: as its users know it, and as its documents say.

Every command that agents have learnt runs as they wrote it; every example of SKILL.md
and references/api.md runs and answers what stands there. Those of auth mode are in
test_skill_tenants.py.
"""

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import Server, wait_for
from tests.support.skill import FOLDER, Ended, Skill

# In the order in which they stand, so that what is read or deleted exists.
SEED_COMMANDS = [
    "./scripts/flux.sh health",
    "./scripts/flux.sh publish sensors agent-01 dawn-coral/sensor-01 \\\n"
    "  '{\"temperature\":22.5}'",
    "./scripts/flux.sh get dawn-coral/sensor-01",
    "./scripts/flux.sh get flux-core/directory",
    "./scripts/flux.sh publish sensors agent-01 dawn-coral/temp-sensor-01"
    ' \'{"temperature":22.5,"unit":"celsius"}\'',
    "./scripts/flux.sh get dawn-coral/temp-sensor-01",
    "./scripts/flux.sh publish sensors agent-01 temp-sensor-01"
    ' \'{"temperature":22.5,"unit":"celsius"}\'',
    "./scripts/flux.sh get temp-sensor-01",
    "./scripts/flux.sh list",
    "./scripts/flux.sh list --prefix scada/",
    "./scripts/flux.sh delete test/old-entity",
    "./scripts/flux.sh batch '[\n"
    '  {"stream":"sensors","source":"agent-01","payload":'
    '{"entity_id":"dawn-coral/sensor-01","properties":{"temp":22}}},\n'
    '  {"stream":"sensors","source":"agent-01","payload":'
    '{"entity_id":"dawn-coral/sensor-02","properties":{"temp":23}}}\n'
    "]'",
    "./scripts/flux.sh batch '[\n"
    '  {"stream":"sensors","source":"agent-01","payload":'
    '{"entity_id":"sensor-01","properties":{"temp":22}}},\n'
    '  {"stream":"sensors","source":"agent-01","payload":'
    '{"entity_id":"sensor-02","properties":{"temp":23}}}\n'
    "]'",
    "./scripts/flux.sh connectors",
    "./scripts/flux.sh admin-config",
    "./scripts/flux.sh admin-config '{\"rate_limit_per_namespace_per_minute\": 5000}'",
    "flux.sh publish sensors agent-a dawn-coral/room-101 '{\"temperature\":22.5}'",
    "flux.sh get dawn-coral/room-101",
    "flux.sh publish sensors agent-a room-101 '{\"temperature\":22.5}'",
    "flux.sh get room-101",
    "flux.sh publish system monitor dawn-coral/api-gateway"
    ' \'{"status":"healthy","uptime":3600}\'',
    "flux.sh get dawn-coral/api-gateway",
    'flux.sh publish system monitor api-gateway \'{"status":"healthy","uptime":3600}\'',
    "flux.sh get api-gateway",
]


@pytest.fixture
def skill(server: Server) -> Iterator[Skill]:
    """The skill, on a server whose configuration is put back afterwards."""
    skill = Skill(server.base_url).given(
        FLUX_TOKEN="an open server ignores it",
        FLUX_ADMIN_TOKEN=server.env["FLUX_ADMIN_TOKEN"],
    )
    wait_for(
        lambda: skill.flux("get", "flux-core/directory").status == 0,
        what="the directory",
    )
    before = answered(skill.flux("admin-config"))
    yield skill
    answered(skill.flux("admin-config", json.dumps(before)))


def answered(ended: Ended) -> Any:
    assert (ended.status, ended.err) == (0, "")
    return json.loads(ended.out)


def properties(skill: Skill, entity_id: str) -> Any:
    return answered(skill.flux("get", "--", entity_id))["properties"]


def test_every_command_that_agents_know_works(skill: Skill) -> None:
    answered(skill.flux("publish", "test", "me", "test/old-entity", "{}"))
    for command in SEED_COMMANDS:
        answered(skill.shell(command))
    assert properties(skill, "dawn-coral/sensor-01") == {
        "temperature": 22.5,
        "temp": 22,
    }
    assert properties(skill, "sensor-02") == {"temp": 23}
    assert skill.flux("get", "test/old-entity").status == 1
    config = answered(skill.flux("admin-config"))
    assert config["rate_limit_per_namespace_per_minute"] == 5000


@pytest.mark.parametrize(
    "entity_id",
    [
        "odd/with space",
        "odd/quo\"te and apos'trophe",
        "odd/back\\slash",
        "odd/a/b//c/",
        "odd/100%25 %2F?x=1#y&z",
        "odd/ünïcödé ☃ 𝄞 日本",
        "-dash",
        "--help",
        "odd/../up",
        "odd/*[a]{b}$HOME`id`",
        "x" * 512,
    ],
)
def test_any_valid_id_makes_the_round(skill: Skill, entity_id: str) -> None:
    text = 'He said "¿qué?"\n\t\\ ☃ 𝄞'
    given = json.dumps({"text": text}, ensure_ascii=False)
    published = skill.flux("publish", "--", "odd.ids", text, entity_id, given)
    assert answered(published)["stream"] == "odd.ids"
    assert answered(skill.flux("get", "--", entity_id))["id"] == entity_id
    # Ids without a namespace are everybody's: another test may have set more.
    assert properties(skill, entity_id)["text"] == text
    listed = answered(skill.flux("list", "--prefix", entity_id))
    assert entity_id in [entity["id"] for entity in listed]
    deleted = answered(skill.flux("delete", "--", entity_id))
    assert deleted["entity_id"] == entity_id
    assert skill.flux("get", "--", entity_id).status == 1


def test_numbers_come_back_digit_by_digit(skill: Skill) -> None:
    numbers = '{"n":[1.10,12345678901234567890,0.1000000000000000055511151231257827]}'
    skill.flux("publish", "s", "me", "exact/numbers", numbers)
    out = skill.flux("get", "exact/numbers").out.replace(" ", "")
    assert numbers.removeprefix('{"n":').removesuffix("}") in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["get", "there/is/none"], "Entity not found (entity_not_found, HTTP 404)"),
        (["delete", "there/is/none"], "Entity not found (entity_not_found, HTTP 404)"),
        (["get", ".."], "(invalid_entity_id, HTTP 400)"),
        (["get", "/x"], "(invalid_entity_id, HTTP 400)"),
        (["get", b"a\xff"], "HTTP 400)"),
        (["publish", "Bad Stream", "me", "a", "{}"], "(invalid_event, HTTP 400)"),
        (["publish", "s", "me", "a\nb", "{}"], "(invalid_entity_id, HTTP 400)"),
        (["publish", "s", "me", "a", '{"a":}'], "HTTP 400)"),
        (["publish", "s", "me", "a", '{"a":"\\ud800"}'], "(lone_surrogate, HTTP 400)"),
        (["publish", "s", "me", "flux-core/x", "{}"], "(reserved_namespace, HTTP 403)"),
        (["batch", "[]"], "(invalid_event, HTTP 400)"),
        (["batch", "no json"], "HTTP 400)"),
        (["batch-delete", "{}"], "(invalid_filter, HTTP 400)"),
        (["admin-config", '{"rate_limit_enabled":1}'], "(invalid_config, HTTP 400)"),
    ],
)
def test_a_refusal_is_told(skill: Skill, arguments: list[str], message: str) -> None:
    ended = skill.flux(*arguments)
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("flux.sh: ")
    assert message in ended.err


@pytest.mark.parametrize(("command", "mebibytes"), [("publish", 1), ("batch", 10)])
def test_a_body_that_is_too_large_is_told(
    skill: Skill, command: str, mebibytes: int
) -> None:
    body = b'{"a":"' + b"x" * (mebibytes << 20) + b'"}'
    arguments = ["s", "me", "a"] if command == "publish" else []
    ended = skill.flux(command, *arguments, "-", stdin=body)
    assert (ended.status, ended.out) == (1, "")
    assert "(payload_too_large, HTTP 413)" in ended.err


def test_the_wrong_admin_token_is_told(skill: Skill) -> None:
    ended = skill.given(FLUX_ADMIN_TOKEN="wrong").flux("admin-config", "{}")
    assert ended.status == 1
    assert "(admin_token_required, HTTP 401)" in ended.err


def test_a_batch_that_fails_in_part_ends_with_1(skill: Skill) -> None:
    good = {"entity_id": "parts/good", "properties": {"a": 1}}
    events = [
        {"stream": "s", "source": "me", "payload": good},
        {"stream": "s", "source": "me", "payload": {"entity_id": "parts/bad"}},
    ]
    ended = skill.flux("batch", json.dumps(events))
    assert ended.status == 1
    assert json.loads(ended.out)["successful"] == 1
    assert ended.err.startswith("flux.sh: 1 of 2 events failed: ")
    assert "payload.properties" in ended.err
    assert properties(skill, "parts/good") == {"a": 1}


def test_a_batch_delete_names_what_was_not_there(skill: Skill) -> None:
    skill.flux("publish", "s", "me", "gone/a", "{}")
    ended = skill.flux("batch-delete", '{"entity_ids":["gone/a","gone/b"]}')
    assert ended.status == 1
    assert json.loads(ended.out)["deleted"] == 1
    assert "1 of 2 deletions failed: " in ended.err
    assert "gone/b" in ended.err


# --- the documents --------------------------------------------------------------

FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document: Path) -> list[tuple[str, str]]:
    """(language, text) of its code blocks, with event ids that no run used before."""
    text = re.sub(r"room-\d+-\d+", rf"\g<0>-{uuid.uuid4()}", document.read_text())
    return FENCED.findall(text)


def shape(value: Any) -> Any:
    """Its keys, all the way down, without the values; namespaces' names are values."""
    if isinstance(value, dict):
        is_directory = set(value) >= {"total_entities", "namespaces"}
        kept = value | {"namespaces": {}} if is_directory else value
        return {key: shape(item) for key, item in kept.items()}
    return [shape(item) for item in value] if isinstance(value, list) else None


def test_the_examples_of_the_skill_run_as_written(skill: Skill) -> None:
    skill.flux("batch-delete", '{"namespace":"dawn-coral"}')
    found = blocks(FOLDER / "SKILL.md")
    examples = [text for language, text in found if language == "bash"]
    assert len(examples) >= 7
    for example in examples:
        ended = skill.shell(f"set -euo pipefail\n{example}")
        assert (ended.status, ended.err) == (0, ""), example
    note = r"""{"note":"She said \"it's warm\"."}"""
    assert note in "".join(examples).replace(r"'\''", "'")


def test_the_examples_of_the_reference_answer_what_it_says(skill: Skill) -> None:
    skill.flux("batch-delete", '{"namespace":"dawn-coral"}')
    found = blocks(FOLDER / "references" / "api.md")
    runs = 0
    for number, (language, text) in enumerate(found):
        if language == "bash":
            ended = skill.shell(text)
            assert (ended.status, ended.err) == (0, ""), text
            answer = json.loads(ended.out)
            runs += 1
            if number + 1 < len(found) and found[number + 1][0] == "json":
                expected = json.loads(found[number + 1][1])
                assert shape(answer) == shape(expected), text
    assert runs >= 14


def test_the_front_matter_says_what_an_agent_needs() -> None:
    front = (FOLDER / "SKILL.md").read_text().split("---\n")[1]
    assert front.startswith("name: flux\ndescription: ")
    metadata = json.loads(re.sub(r",(\s*[}\]])", r"\1", front.split("metadata:")[1]))
    openclaw = metadata["openclaw"]
    assert openclaw["requires"] == {"env": ["FLUX_TOKEN"]}
    assert openclaw["optionalEnv"] == ["FLUX_URL", "FLUX_ADMIN_TOKEN"]
