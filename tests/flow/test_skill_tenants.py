"""flux.sh in auth mode against a real server: namespaces and tokens, and the examples
of the documents about them.

What it sends is in test_skill_tenant_requests.py.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.client import ADMIN_HEADER
from tests.support.servers import Server
from tests.support.skill import FOLDER, Ended, Skill

ADMIN = ADMIN_HEADER.removeprefix("Bearer ")
SECRET = re.compile(r"flux_[0-9a-z]{10}_[0-9A-Za-z]{49}")


# --- a real server ----------------------------------------------------------------


@pytest.fixture(params=["lane", "plain"])
def tenants(
    request: pytest.FixtureRequest, start_server: Callable[..., Server]
) -> Skill:
    """The skill, at a server in auth mode, with no token yet."""
    lane = "true" if request.param == "lane" else "false"
    return Skill(start_server(FLUX_AUTH_ENABLED="true", FLUX_LANE=lane).base_url)


def registered(skill: Skill, name: str) -> Skill:
    """With a namespace of its own and its first token."""
    made = skill.given(FLUX_ADMIN_TOKEN=ADMIN).flux("register", name)
    assert (made.status, made.err) == (0, "")
    token = json.loads(made.out)["token"]
    return skill.given(FLUX_NAMESPACE=name, FLUX_TOKEN=token)


def new_name() -> str:
    """Names are given once, and the database outlives a test."""
    return f"skill-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def own(tenants: Skill) -> Skill:
    return registered(tenants, new_name())


def name_of(skill: Skill) -> str:
    return dict(skill.environment)["FLUX_NAMESPACE"]


def answered(ended: Ended) -> Any:
    assert (ended.status, ended.err) == (0, "")
    return json.loads(ended.out)


def refused(ended: Ended, *parts: str) -> None:
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("flux.sh: ")
    assert not SECRET.search(ended.err)
    for part in parts:
        assert part in ended.err


def test_a_namespace_is_registered_and_read(tenants: Skill, own: Skill) -> None:
    name = name_of(own)
    answered(own.flux("publish", "s", "me", f"{name}/a", "{}"))
    found = answered(tenants.flux("namespace", name))
    assert (found["name"], found["entityCount"]) == (name, 1)
    again = tenants.given(FLUX_ADMIN_TOKEN=ADMIN).flux("register", name)
    refused(again, "(name_taken, HTTP 409)")
    refused(
        tenants.flux("namespace", "no-such-name"), "(namespace_not_found, HTTP 404)"
    )


def test_every_write_of_the_script_carries_the_token(own: Skill) -> None:
    name = name_of(own)
    answered(own.flux("publish", "s", "me", f"{name}/a", '{"a":1}'))
    event = {"entity_id": f"{name}/b", "properties": {}}
    batch = json.dumps([{"stream": "s", "source": "me", "payload": event}])
    assert answered(own.flux("batch", batch))["successful"] == 1
    answered(own.flux("delete", f"{name}/a"))
    deleted = own.flux("batch-delete", json.dumps({"namespace": name}))
    assert answered(deleted)["deleted"] == 1


def test_a_token_does_what_it_was_made_for(own: Skill) -> None:
    name = name_of(own)
    made = answered(
        own.flux("token-create", "a sensor", "--prefix", f"{name}/kitchen/")
    )
    assert made["scopes"] == ["publish"]
    sensor = own.given(FLUX_TOKEN=made["token"])
    answered(sensor.flux("publish", "s", "me", f"{name}/kitchen/a", "{}"))
    elsewhere = sensor.flux("publish", "s", "me", f"{name}/hall", "{}")
    refused(elsewhere, f"{name}/kitchen/", "(outside_prefix, HTTP 403)")
    foreign = sensor.flux("publish", "s", "me", "somebody-else/a", "{}")
    refused(foreign, "(foreign_namespace, HTTP 403)")
    deletion = sensor.flux("delete", f"{name}/kitchen/a")
    refused(deletion, "scope delete", "(missing_scope, HTTP 403)")
    refused(sensor.flux("tokens"), "scope tokens", "(missing_scope, HTTP 403)")


def test_an_expiry_and_scopes_are_as_asked_for(own: Skill) -> None:
    options = ["--scope", "publish", "--scope", "delete", "--expires-in", "3600"]
    made = answered(own.flux("token-create", "for an hour", *options))
    assert made["scopes"] == ["publish", "delete"]
    assert made["expiresAt"] > made["createdAt"]
    refused(own.flux("token-create", "x", "--scope", "all"), "HTTP 400)")


def test_tokens_are_listed_without_their_secrets(own: Skill) -> None:
    answered(own.flux("token-create", "another"))
    listed = own.flux("tokens")
    labels = [token["label"] for token in answered(listed)["tokens"]]
    assert labels == ["first token", "another"]
    assert not SECRET.search(listed.out)


def test_a_rotated_secret_works_until_its_overlap_ends(own: Skill) -> None:
    name = name_of(own)
    made = answered(own.flux("token-create", "rotated"))
    first = own.given(FLUX_TOKEN=made["token"])
    text = own.flux("token-rotate", made["id"], "--overlap", "3600", "--token-only")
    assert SECRET.fullmatch(text.out.strip())
    second = own.given(FLUX_TOKEN=text.out.strip())
    for one in (first, second):
        answered(one.flux("publish", "s", "me", f"{name}/a", "{}"))
    third = answered(own.flux("token-rotate", made["id"]))
    assert third["id"] == made["id"]
    for one in (first, second):
        ended = one.flux("publish", "s", "me", f"{name}/a", "{}")
        refused(ended, "(invalid_token, HTTP 401)", "FLUX_TOKEN was not accepted")
    last = own.given(FLUX_TOKEN=third["token"])
    answered(last.flux("publish", "s", "me", f"{name}/a", "{}"))


def test_a_revoked_token_is_refused(own: Skill) -> None:
    made = answered(own.flux("token-create", "revoked"))
    revoked = own.flux("token-revoke", made["id"])
    assert revoked == Ended(0, "", "")
    holder = own.given(FLUX_TOKEN=made["token"])
    ended = holder.flux("publish", "s", "me", f"{name_of(own)}/a", "{}")
    refused(ended, "(invalid_token, HTTP 401)")
    refused(own.flux("token-revoke", "0000000000"), "(token_not_found, HTTP 404)")


def test_an_operator_keeps_any_namespaces_tokens(tenants: Skill, own: Skill) -> None:
    operator = tenants.given(FLUX_ADMIN_TOKEN=ADMIN)
    made = answered(operator.flux("token-create", "x", "--namespace", name_of(own)))
    answered(operator.flux("tokens", name_of(own)))
    assert operator.flux("token-revoke", made["id"], f"--namespace={name_of(own)}") == (
        Ended(0, "", "")
    )


def test_without_a_token_nothing_is_written(tenants: Skill) -> None:
    ended = tenants.flux("publish", "s", "me", "no/token", "{}")
    refused(ended, "(token_required, HTTP 401)", "FLUX_TOKEN is not set")
    refused(tenants.flux("register", "a-name"), "FLUX_ADMIN_TOKEN is not set")
    refused(tenants.flux("tokens", "a-name"), "FLUX_TOKEN is not set")


@pytest.fixture
def config(tenants: Skill) -> Iterator[Callable[..., None]]:
    """`config(name=value)` changes the runtime config, until the test ends."""
    operator = tenants.given(FLUX_ADMIN_TOKEN=ADMIN)
    before = answered(operator.flux("admin-config"))

    def change(**values: object) -> None:
        answered(operator.flux("admin-config", json.dumps(values)))

    yield change
    change(**before)


def test_a_rate_limit_says_how_long_to_wait(
    own: Skill, config: Callable[..., None]
) -> None:
    name = name_of(own)
    config(rate_limit_enabled=True, rate_limit_per_namespace_per_minute=1)
    publish = ("publish", "s", "me", f"{name}/a", "{}")
    answered(own.flux(*publish))
    ended = own.flux(*publish)
    refused(ended, "(rate_limited, HTTP 429)")
    assert re.search(r"again in [0-9]+ s", ended.err)
    event = {"entity_id": f"{name}/b", "properties": {}}
    batch = json.dumps([{"stream": "s", "source": "me", "payload": event}])
    part = own.flux("batch", batch)
    assert part.status == 1
    assert re.search(r"1 of 1 events failed: .* again in [0-9]+ s", part.err)


def test_an_open_server_has_no_namespaces(server: Server) -> None:
    skill = Skill(server.base_url).given(FLUX_ADMIN_TOKEN=ADMIN)
    refused(
        skill.flux("register", "a-name"), "FLUX_AUTH_ENABLED", "(open_mode, HTTP 404)"
    )


# --- the documents ------------------------------------------------------------------

FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def section(document: str) -> list[tuple[str, str]]:
    """(language, text) of the code blocks about namespaces and tokens."""
    text = (FOLDER / document).read_text()
    text = text[text.index("\n## Namespaces and tokens\n") :]
    return FENCED.findall(text[: text.index("\n## ", 1)])


def about(name: str, text: str) -> str:
    """The same of a namespace that nobody has registered yet."""
    return text.replace("dawn-coral", name)


def shape(value: Any) -> Any:
    """Its keys, all the way down, without the values."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(item) for item in value] if isinstance(value, list) else None


def test_the_examples_of_the_skill_run_as_written(tenants: Skill) -> None:
    name = new_name()
    examples = [text for language, text in section("SKILL.md") if language == "sh"]
    assert len(examples) == 2
    admin = tenants.given(FLUX_ADMIN_TOKEN=ADMIN)
    ended = admin.shell("set -euo pipefail\n" + about(name, "".join(examples)))
    assert (ended.status, ended.err) == (0, "")
    published, found, again, tokens = map(json.loads, ended.out.splitlines())
    assert published["seq"] < again["seq"]
    assert found["name"] == name
    sensor = tokens["tokens"][1]
    assert (sensor["label"], sensor["scopes"]) == ("kitchen sensor", ["publish"])


def test_the_examples_of_the_reference_answer_what_it_says(tenants: Skill) -> None:
    name = new_name()
    skill = tenants.given(FLUX_ADMIN_TOKEN=ADMIN)
    blocks = [one for one in section("references/api.md") if one[0] != "http"]
    assert [language for language, text in blocks] == ["sh", "json"] * 4
    for (_, command), (_, answer) in zip(blocks[::2], blocks[1::2], strict=True):
        ended = skill.shell(about(name, command))
        assert (ended.status, ended.err) == (0, ""), command
        found = json.loads(ended.out)
        assert shape(found) == shape(json.loads(answer)), command
        if "namespaceId" in found and "token" in found:
            skill = skill.given(FLUX_TOKEN=found["token"])
