"""flux.sh in auth mode: namespaces and tokens, and what it says when it is refused.

First byte by byte against a server that answers what a test wants, then against a real
one.
"""

import json
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import fake_api
from tests.support.client import ADMIN_HEADER
from tests.support.fake_api import Answer, FakeApi
from tests.support.servers import Server
from tests.support.skill import FOLDER, Ended, Skill, only

ADMIN = ADMIN_HEADER.removeprefix("Bearer ")
TEXT = "flux_k3v9x2m4q1_" + "s3cret" * 8 + "z"
MADE = json.dumps({"id": "k3v9x2m4q1", "token": TEXT}).encode()
SECRET = re.compile(r"flux_[0-9a-z]{10}_[0-9A-Za-z]{49}")


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api.serving() as api:
        api.answer = Answer(body=MADE)
        yield api


@pytest.fixture(params=["bash and curl alone", "everything"])
def skill(request: pytest.FixtureRequest, api: FakeApi, tmp_path: Path) -> Skill:
    if request.param == "everything":
        return Skill(api.url)
    return Skill(api.url, path=only(tmp_path / "bin", "bash", "curl"))


# --- what is sent ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "method", "path", "body"),
    [
        (["register", "a-name"], "POST", "", {"name": "a-name"}),
        (["namespace", "a/b ü"], "GET", "/a%2Fb%20%C3%BC", None),
        (["tokens"], "GET", "/mine/tokens", None),
        (["tokens", "other"], "GET", "/other/tokens", None),
        (["tokens", "--namespace", "other"], "GET", "/other/tokens", None),
        (["token-create", 'a "label"'], "POST", "/mine/tokens", {"label": 'a "label"'}),
        (
            ["token-create", "--scope", "delete", "x", "--scope=tokens"],
            "POST",
            "/mine/tokens",
            {"label": "x", "scopes": ["delete", "tokens"]},
        ),
        (
            ["token-create", "x", "--prefix=mine/a=b/", "--expires-in", "60"],
            "POST",
            "/mine/tokens",
            {"label": "x", "prefix": "mine/a=b/", "expires_in_seconds": 60},
        ),
        (
            ["token-create", "--namespace=n", "--", "--label"],
            "POST",
            "/n/tokens",
            {"label": "--label"},
        ),
        (["token-rotate", "k3v9"], "POST", "/mine/tokens/k3v9/rotate", {}),
        (
            ["token-rotate", "k3/v9", "--overlap", "0"],
            "POST",
            "/mine/tokens/k3%2Fv9/rotate",
            {"overlap_seconds": 0},
        ),
        (["token-revoke", "k3v9"], "DELETE", "/mine/tokens/k3v9", None),
    ],
)
def test_a_command_is_one_request(
    api: FakeApi,
    skill: Skill,
    arguments: list[str],
    method: str,
    path: str,
    body: dict[str, object] | None,
) -> None:
    ended = skill.given(FLUX_NAMESPACE="mine").flux(*arguments)
    assert (ended.status, ended.err) == (0, "")
    assert (api.last.method, api.last.path) == (method, f"/api/namespaces{path}")
    sent = json.loads(api.last.body) if api.last.body else None
    assert sent == body
    assert len(api.asked) == 1


def test_only_the_admin_token_registers(api: FakeApi, skill: Skill) -> None:
    both = skill.given(FLUX_TOKEN="mine", FLUX_ADMIN_TOKEN="the admin's")
    both.flux("register", "a-name")
    assert api.last.headers["authorization"] == "Bearer the admin's"
    skill.given(FLUX_TOKEN="mine").flux("register", "a-name")
    assert "authorization" not in api.last.headers


@pytest.mark.parametrize(
    "arguments", [["tokens"], ["token-create", "x"], ["token-revoke", "id"]]
)
def test_a_namespaces_own_token_goes_before_the_admins(
    api: FakeApi, skill: Skill, arguments: list[str]
) -> None:
    admin = skill.given(FLUX_NAMESPACE="mine", FLUX_ADMIN_TOKEN="the admin's")
    admin.given(FLUX_TOKEN="mine").flux(*arguments)
    assert api.last.headers["authorization"] == "Bearer mine"
    admin.flux(*arguments)
    assert api.last.headers["authorization"] == "Bearer the admin's"


@pytest.mark.parametrize(
    "arguments",
    [["register", "mine"], ["token-create", "x"], ["token-rotate", "k3v9x2m4q1"]],
)
def test_a_token_can_be_had_alone(skill: Skill, arguments: list[str]) -> None:
    mine = skill.given(FLUX_NAMESPACE="mine")
    assert mine.flux(*arguments).out == MADE.decode() + "\n"
    assert mine.flux(*arguments, "--token-only") == Ended(0, TEXT + "\n", "")


def test_an_answer_without_content_is_a_success(api: FakeApi, skill: Skill) -> None:
    api.answer = Answer(204, b"")
    mine = skill.given(FLUX_NAMESPACE="mine")
    assert mine.flux("token-revoke", "k3v9") == Ended(0, "", "")


# --- what is refused ------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "given", "hint"),
    [
        (["get", "a"], {}, "FLUX_TOKEN is not set"),
        (["get", "a"], {"FLUX_TOKEN": "x"}, "FLUX_TOKEN was not accepted"),
        (["register", "a-b"], {"FLUX_TOKEN": "x"}, "FLUX_ADMIN_TOKEN is not set"),
        (["admin-config", "{}"], {}, "FLUX_ADMIN_TOKEN is not set"),
        (
            ["tokens", "a-b"],
            {"FLUX_ADMIN_TOKEN": "x"},
            "FLUX_ADMIN_TOKEN was not accepted",
        ),
        (["tokens", "a-b"], {}, "FLUX_TOKEN is not set"),
    ],
)
def test_a_401_names_the_variable(
    api: FakeApi, skill: Skill, arguments: list[str], given: dict[str, str], hint: str
) -> None:
    api.answer = Answer(401, b'{"error":"No.","code":"no"}')
    ended = skill.given(**given).flux(*arguments)
    expected = f"flux.sh: No. (no, HTTP 401)\nflux.sh: {hint}\n"
    assert ended == Ended(1, "", expected)


@pytest.mark.parametrize("status", [429, 503])
def test_it_says_how_long_to_wait(api: FakeApi, skill: Skill, status: int) -> None:
    body = b'{"error":"Later.","code":"later"}'
    api.answer = Answer(status, body, {"Retry-After": "17"})
    ended = skill.flux("publish", "s", "me", "e", "{}")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.splitlines()[1:] == ["flux.sh: try again in 17 s"]
    api.answer = Answer(status, b'{"error":"Again in 17 s."}', {"Retry-After": "17"})
    assert len(skill.flux("get", "a").err.splitlines()) == 1  # that says it already
    api.answer = Answer(status, body, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"})
    assert len(skill.flux("get", "a").err.splitlines()) == 1


def test_an_old_curl_that_knows_no_headers_says_less(
    api: FakeApi, skill: Skill, tmp_path: Path
) -> None:
    """curl before 7.84 writes `%header{…}` down as it stands; `%%` makes this one."""
    shims = tmp_path / "shims"
    shims.mkdir()
    shim = shims / "curl"
    shim.write_text(
        f"#!{shutil.which('bash')}\n"
        f'exec {shutil.which("curl")} "${{@//%header/%%header}}"\n'
    )
    shim.chmod(0o755)
    old = Skill(skill.url, f"{shims}:{skill.path}")
    api.answer = Answer(429, b'{"error":"Later.","code":"later"}', {"Retry-After": "9"})
    assert old.flux("get", "a").err == "flux.sh: Later. (later, HTTP 429)\n"
    api.answer = Answer(body=b'{"id":"a"}')
    assert old.flux("get", "a") == Ended(0, '{"id":"a"}\n', "")


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
