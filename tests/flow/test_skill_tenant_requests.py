"""flux.sh in auth mode, byte by byte: what it sends about namespaces and tokens, and
what it says when it is refused.

Against a server that answers what a test wants; test_skill_tenants.py has a real one.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import fake_api
from tests.support.fake_api import Answer, FakeApi
from tests.support.skill import Ended, Skill, only

TEXT = "flux_k3v9x2m4q1_" + "s3cret" * 8 + "z"
MADE = json.dumps({"id": "k3v9x2m4q1", "token": TEXT}).encode()


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
