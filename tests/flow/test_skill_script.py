"""What flux.sh sends, byte by byte, and how it ends; contract §10."""

import json
import os
import pty
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from tests.support import fake_api
from tests.support.fake_api import Answer, FakeApi
from tests.support.skill import FOLDER, SCRIPT, Ended, Skill, only

ODD_TEXTS = [
    "plain",
    "with space",
    'quo"te',
    "apos'trophe",
    "back\\slash",
    "a/b/c",
    "a//b",
    "100%",
    "%2F",
    "what?",
    "#tag",
    "a&b=c+d",
    "-dash",
    "--prefix",
    "-",
    "@file",
    ".",
    "..",
    "a/../b",
    "*",
    "[1-3]{a,b}",
    "$HOME `id` $(id)",
    "ünïcödé/☃/𝄞/日本",
    "trailing\n",
    "tab\tbell\x07del\x7f",
    "~_.-",
]
REFUSAL = b'{"error": "Entity not found", "code": "entity_not_found"}'


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api.serving() as api:
        yield api


@pytest.fixture(params=["bash and curl alone", "everything"])
def skill(request: pytest.FixtureRequest, api: FakeApi, tmp_path: Path) -> Skill:
    if request.param == "everything":
        return Skill(api.url)
    return Skill(api.url, path=only(tmp_path / "bin", "bash", "curl"))


def sent_event(api: FakeApi) -> dict[str, object]:
    event = json.loads(api.last.body)
    assert isinstance(event, dict)
    return event


def assert_misused(ended: Ended, usage: str) -> None:
    assert ended.status == 2
    assert ended.out == ""
    assert f"usage: flux.sh {usage}" in ended.err


# --- what is sent ---------------------------------------------------------------


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_an_id_is_one_percent_encoded_segment(
    api: FakeApi, skill: Skill, text: str
) -> None:
    assert skill.flux("get", "--", text).status == 0
    segment = api.last.path.removeprefix("/api/state/entities/")
    assert re.fullmatch(r"([A-Za-z0-9._~-]|%[0-9A-F]{2})+", segment)
    assert unquote_to_bytes(segment) == text.encode()


def test_a_slash_in_an_id_is_2f(api: FakeApi, skill: Skill) -> None:
    skill.flux("delete", "dawn-coral/a b")
    assert api.last.method == "DELETE"
    assert api.last.path == "/api/state/entities/dawn-coral%2Fa%20b"


def test_bytes_that_are_not_utf8_arrive_as_they_are(api: FakeApi, skill: Skill) -> None:
    skill.flux("get", b"a\xff")
    assert api.last.path == "/api/state/entities/a%FF"


@pytest.mark.parametrize("text", [*ODD_TEXTS, *map(chr, range(1, 32))])
def test_every_text_of_an_event_arrives_as_given(
    api: FakeApi, skill: Skill, text: str
) -> None:
    ended = skill.flux("publish", "--", text, text, text, '{"a":1}')
    assert (ended.status, ended.err) == (0, "")
    event = sent_event(api)
    assert event["stream"] == text
    assert event["source"] == text
    assert event["payload"] == {"entity_id": text, "properties": {"a": 1}}
    assert set(event) == {"stream", "source", "timestamp", "payload"}


def test_an_event_is_timed_now(api: FakeApi, skill: Skill) -> None:
    before = time.time_ns() // 1_000_000
    skill.flux("publish", "s", "me", "e", "{}")
    after = time.time_ns() // 1_000_000
    timestamp = sent_event(api)["timestamp"]
    assert isinstance(timestamp, int)
    assert before <= timestamp <= after


@pytest.mark.parametrize(
    "properties",
    [
        "{}",
        ' \n{ "a" : [ 1 , { "b" : null } ] }\n',
        '{"note":"line\\nbreak, \\"quoted\\", \\\\ and \\u00e9"}',
        '{"é":"☃ 日本"}',
        '{"text":"}}{{][\\\\\\""}',
        '{"exact":[1.10,12345678901234567890,1e400,-0]}',
        '{"deep":' + "[" * 40 + "]" * 40 + "}",
    ],
)
def test_properties_arrive_byte_for_byte(
    api: FakeApi, skill: Skill, tmp_path: Path, properties: str
) -> None:
    file = tmp_path / "properties.json"
    file.write_text(properties)
    for argument in (properties, "-", f"@{file}"):
        ended = skill.flux("publish", "s", "me", "e", argument, stdin=file.read_bytes())
        assert (ended.status, ended.err) == (0, "")
        assert f'"properties":{properties}}}}}'.encode() in api.last.body


@pytest.mark.parametrize(
    "properties",
    [
        "",
        "[]",
        "1",
        '"text"',
        "null",
        '{"a":1',
        '{"a":"}',
        "{}}",
        "{}{}",
        '{},"unset":["a"]',
        '{}},"stream":"other","payload":{"entity_id":"x","properties":{}',
        '{"a":"\\"}},"key":{}',
        "{a:*}",
        '{"a":[}]}',
        '{"deep":' + "[" * 70 + "]" * 70 + "}",
    ],
)
def test_properties_cannot_reach_beyond_their_place(
    api: FakeApi, skill: Skill, properties: str
) -> None:
    ended = skill.flux("publish", "s", "me", "e", properties)
    assert_misused(ended, "publish STREAM SOURCE ENTITY_ID PROPERTIES_JSON")
    assert "PROPERTIES_JSON is not a JSON object" in ended.err
    assert api.asked == []


def test_a_nul_byte_is_refused_not_dropped(api: FakeApi, skill: Skill) -> None:
    ended = skill.flux("publish", "s", "me", "e", "-", stdin=b'{"a":"x\0y"}')
    assert ended.status == 2
    assert "NUL" in ended.err
    assert api.asked == []


BODY_COMMANDS = [
    ("batch", "POST", "/api/events/batch"),
    ("batch-delete", "POST", "/api/state/entities/delete"),
    ("admin-config", "PUT", "/api/admin/config"),
]


@pytest.mark.parametrize(("command", "method", "path"), BODY_COMMANDS)
def test_a_body_arrives_byte_for_byte(
    api: FakeApi, skill: Skill, tmp_path: Path, command: str, method: str, path: str
) -> None:
    body = '\n[{"é\\n":"☃",  "n":1.10}]\n\n'
    file = tmp_path / "a body.json"
    file.write_text(body)
    for argument in (body, "-", f"@{file}"):
        ended = skill.flux(command, argument, stdin=body.encode())
        assert (ended.status, ended.err) == (0, "")
        assert (api.last.method, api.last.path) == (method, path)
        assert api.last.body == body.encode()
        assert api.last.headers["content-type"] == "application/json"


def test_a_body_of_megabytes_needs_no_argument(api: FakeApi, skill: Skill) -> None:
    body = b'[{"a":"' + b"x" * 10_000_000 + b'"}]'
    assert skill.flux("batch", "-", stdin=body).status == 0
    assert api.last.body == body
    properties = b'{"a":[' + b'{"b":"c"},' * 50_000 + b"1]}"
    assert skill.flux("publish", "s", "me", "e", "-", stdin=properties).status == 0
    assert properties in api.last.body


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        ([], ""),
        (["--prefix", "scada/"], "?prefix=scada%2F"),
        (["--prefix=a&b=c"], "?prefix=a%26b%3Dc"),
        (["--prefix", "--help"], "?prefix=--help"),
        (["--namespace", "dawn-coral"], "?namespace=dawn-coral"),
        (["--namespace", "n", "--prefix", "n/é"], "?namespace=n&prefix=n%2F%C3%A9"),
    ],
)
def test_a_list_is_filtered_by_the_server(
    api: FakeApi, skill: Skill, arguments: list[str], query: str
) -> None:
    assert skill.flux("list", *arguments).status == 0
    assert api.last.path == f"/api/state/entities{query}"


@pytest.mark.parametrize("ending", ["", "/", "//"])
def test_the_address_may_end_in_slashes(
    api: FakeApi, skill: Skill, ending: str
) -> None:
    skill.given(FLUX_URL=f"{api.url}/behind/a/proxy{ending}").flux("health")
    assert api.last.path == "/behind/a/proxy/api/health"


def test_the_address_is_one_address(api: FakeApi, skill: Skill) -> None:
    skill.given(FLUX_URL=f"{api.url}/{{a,b}}[1-3]").flux("health")
    assert [asked.path for asked in api.asked] == ["/{a,b}[1-3]/api/health"]


def test_without_an_address_it_asks_localhost(skill: Skill, tmp_path: Path) -> None:
    arguments = curl_arguments(skill.given(FLUX_URL=""), tmp_path, "health")
    assert "http://localhost:3000/api/health" in arguments


# --- tokens ---------------------------------------------------------------------


def test_the_token_is_a_bearer_token(api: FakeApi, skill: Skill) -> None:
    skill.given(FLUX_TOKEN="flux_secret").flux("get", "a")
    assert api.last.headers["authorization"] == "Bearer flux_secret"
    skill.flux("get", "a")
    assert "authorization" not in api.last.headers


def test_only_a_change_of_the_configuration_carries_the_admin_token(
    api: FakeApi, skill: Skill
) -> None:
    both = skill.given(FLUX_TOKEN="mine", FLUX_ADMIN_TOKEN="the admin's")
    both.flux("admin-config", "{}")
    assert api.last.headers["authorization"] == "Bearer the admin's"
    both.flux("admin-config")
    assert api.last.headers["authorization"] == "Bearer mine"
    skill.given(FLUX_TOKEN="mine").flux("admin-config", "{}")
    assert "authorization" not in api.last.headers


def test_a_token_cannot_add_a_header(api: FakeApi, skill: Skill) -> None:
    ended = skill.given(FLUX_TOKEN="a\nX-Evil: 1").flux("get", "a")
    assert ended.status == 2
    assert "control character" in ended.err
    assert "Evil" not in ended.err
    assert api.asked == []


def curl_arguments(skill: Skill, folder: Path, *arguments: str) -> str:
    """What another user's `ps` would show of the curl that a command runs."""
    shims, seen = folder / "shims", folder / "arguments"
    shims.mkdir()
    shim = shims / "curl"
    shim.write_text(f'#!{shutil.which("bash")}\nprintf "%s\\n" "$@" >"{seen}"\n')
    shim.chmod(0o755)
    Skill(skill.url, f"{shims}:{skill.path}", skill.environment).flux(*arguments)
    return seen.read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ["get", "a"],
        ["publish", "s", "me", "e", '{"private":1}'],
        ["batch", '[{"private":1}]'],
        ["admin-config", '{"private":1}'],
        ["register", "private"],
        ["token-create", "private", "--namespace", "n"],
        ["token-rotate", "id", "--namespace", "n"],
        ["token-revoke", "id", "--namespace", "n"],
        ["buy", "private@example.org"],
        ["claim", "pur_1"],
    ],
)
def test_curls_arguments_hold_no_token_and_no_body(
    skill: Skill, tmp_path: Path, arguments: list[str]
) -> None:
    secret = skill.given(FLUX_TOKEN="flux_secret", FLUX_ADMIN_TOKEN="flux_secret")
    secret = secret.given(FLUX_CLAIM_SECRET="flux_secret")
    secret = secret.given(FLUX_PURCHASE_FILE=str(tmp_path / "purchase"))
    shown = curl_arguments(secret, tmp_path, *arguments)
    assert "--max-time\n60\n" in shown
    assert "--connect-timeout\n5\n" in shown
    assert "flux_secret" not in shown
    assert "private" not in shown


# --- what is answered -----------------------------------------------------------


def test_an_answer_is_printed_as_it_came(api: FakeApi, skill: Skill) -> None:
    api.answer = Answer(body=b'{"n":1.10,"big":12345678901234567890,"s":"\xc3\xa9"}')
    ended = skill.flux("get", "a")
    assert ended == Ended(0, '{"n":1.10,"big":12345678901234567890,"s":"é"}\n', "")


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (404, REFUSAL, "Entity not found (entity_not_found, HTTP 404)"),
        (400, b'{"code":"invalid","error":"x"}', "x (invalid, HTTP 400)"),
        (413, b'{"error":"Too large"}', "Too large (HTTP 413)"),
        (503, b'\n{"error" :\n "later"}', "later (HTTP 503)"),
        (
            400,
            b'{"error":"\\"a\\\\b\\/c\\" \\u00e9 \\n","code":"c"}',
            '"a\\b/c" \\u00e9   (c, HTTP 400)',
        ),
        (
            400,
            b'{"error":"unknown key \\"error\\":\\"x\\"","code":"c"}',
            'unknown key "error":"x" (c, HTTP 400)',
        ),
        (400, b'{"error":"\xe2\x98\x83\x1b[31m"}', "☃ [31m (HTTP 400)"),
        (502, b"<h1>Bad\nGateway</h1>", "<h1>Bad Gateway</h1> (HTTP 502)"),
        (500, b"", "the answer is no Flux error: empty (HTTP 500)"),
        (500, b'{"error":{"nested":1}}', '{"error":{"nested":1}} (HTTP 500)'),
    ],
)
def test_a_refusal_ends_with_1_and_says_why(
    api: FakeApi, skill: Skill, status: int, body: bytes, message: str
) -> None:
    api.answer = Answer(status, body)
    ended = skill.flux("publish", "s", "me", "e", "{}")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("flux.sh: ")
    assert ended.err.endswith(f"{message}\n")


def test_a_long_error_is_cut_between_characters(api: FakeApi, skill: Skill) -> None:
    for shift in range(3):
        text = "x" * shift + "☃" * 5000
        api.answer = Answer(
            400, json.dumps({"error": text}, ensure_ascii=False).encode()
        )
        ended = skill.flux("get", "a")
        assert len(ended.err) < 600
        assert "☃… (HTTP 400)" in ended.err


def test_a_redirect_is_not_followed_but_named(api: FakeApi, skill: Skill) -> None:
    api.answer = Answer(301, b"", {"Location": "https://flux.example/api/health"})
    ended = skill.given(FLUX_TOKEN="flux_secret").flux("health")
    assert ended.status == 1
    assert "redirects to https://flux.example/api/health" in ended.err
    assert len(api.asked) == 1


@pytest.mark.parametrize("body", [b"<html>a portal</html>", b"", b'"text"'])
def test_a_success_that_is_not_json_is_none(
    api: FakeApi, skill: Skill, body: bytes
) -> None:
    api.answer = Answer(200, body)
    ended = skill.flux("list")
    assert (ended.status, ended.out) == (3, "")
    assert "other than JSON (HTTP 200)" in ended.err


def test_half_an_answer_is_none(api: FakeApi, skill: Skill) -> None:
    api.answer = Answer(body=b'[{"id":"a"}', promised_bytes=100)
    ended = skill.given(FLUX_TIMEOUT="1").flux("list")
    assert (ended.status, ended.out) == (3, "")
    assert "no answer from" in ended.err


def test_a_server_that_is_not_there_ends_with_3(skill: Skill) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        ended = skill.given(FLUX_URL=url).flux("health")
    assert (ended.status, ended.out) == (3, "")
    assert f"flux.sh: no answer from {url}" in ended.err


def test_a_silent_server_is_given_up_in_time(skill: Skill) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        before = time.monotonic()
        ended = skill.given(FLUX_URL=url, FLUX_TIMEOUT="0.3").flux("health")
    assert ended.status == 3
    assert time.monotonic() - before < 5


def test_only_http_is_spoken(skill: Skill) -> None:
    ended = skill.given(FLUX_URL="file:///etc/passwd?").flux("health")
    assert (ended.status, ended.out) == (3, "")
    assert "no answer from file:" in ended.err


def test_without_curl_it_says_so(api: FakeApi, tmp_path: Path) -> None:
    ended = Skill(api.url, path=only(tmp_path / "bare", "bash")).flux("health")
    assert ended == Ended(3, "", "flux.sh: curl is not installed\n")


# --- batches --------------------------------------------------------------------


def test_a_batch_with_failures_prints_the_answer_and_fails(
    api: FakeApi, skill: Skill
) -> None:
    body = (
        b'{"results":[{"eventId":"error","stream":"s","seq":9,"error":null},'
        b'{"eventId":null,"stream":null,"seq":null,"error":"no \\"stream\\""},'
        b'{"eventId":null,"stream":null,"seq":null,"error":"another"}],'
        b'"successful":1,"failed": 2}'
    )
    api.answer = Answer(body=body)
    ended = skill.flux("batch", "[{},{},{}]")
    assert ended.status == 1
    assert ended.out == body.decode() + "\n"
    assert ended.err == 'flux.sh: 2 of 3 events failed: no "stream"\n'


def test_a_batch_delete_with_failures_fails_too(api: FakeApi, skill: Skill) -> None:
    api.answer = Answer(body=b'{"deleted":2,"failed":1,"errors":["no such \\"a\\""]}')
    ended = skill.flux("batch-delete", '{"entity_ids":["a","b","c"]}')
    assert ended.status == 1
    assert ended.err == 'flux.sh: 1 of 3 deletions failed: no such "a"\n'


def test_a_batch_without_failures_succeeds(api: FakeApi, skill: Skill) -> None:
    api.answer = Answer(body=b'{"successful":3,"failed":0,"results":[]}')
    assert skill.flux("batch", "[]") == Ended(0, api.answer.body.decode() + "\n", "")


def test_the_answer_to_a_large_batch_is_read_quickly(
    api: FakeApi, skill: Skill
) -> None:
    good = b'{"eventId":"0191a2b3","stream":"s","seq":1,"error":null},' * 100_000
    bad = b'{"eventId":null,"stream":null,"seq":null,"error":"last"}'
    body = b'{"successful":100000,"failed":1,"results":[' + good + bad + b"]}"
    api.answer = Answer(body=body)
    before = time.monotonic()
    ended = skill.flux("batch", "[]")
    assert ended.err == "flux.sh: 1 of 100001 events failed: last\n"
    assert time.monotonic() - before < 20


# --- usage ----------------------------------------------------------------------

PUBLISH_USAGE = "publish STREAM SOURCE ENTITY_ID PROPERTIES_JSON"
LIST_USAGE = "list [--prefix PREFIX | --namespace NAME]"
CLAIM_USAGE = "claim [PURCHASE_ID [CLAIM_SECRET]] [OPTION...]"
REGISTER_USAGE = "register NAME [--token-only]"
CREATE_USAGE = "token-create LABEL [OPTION...]"
ROTATE_USAGE = "token-rotate ID [--overlap SECONDS] [OPTION...]"


@pytest.mark.parametrize(
    ("arguments", "usage"),
    [
        ([], "COMMAND"),
        ([""], "COMMAND"),
        (["frobnicate"], "COMMAND"),
        (["help", "frobnicate"], "COMMAND"),
        (["health", "now"], "health"),
        (["publish"], PUBLISH_USAGE),
        (["publish", "s", "me", "e"], PUBLISH_USAGE),
        (["publish", "s", "me", "e", "{}", "more"], PUBLISH_USAGE),
        (["publish", "s", "me", "", "{}"], PUBLISH_USAGE),
        (["publish", "s", "me", "e", "@no such file"], PUBLISH_USAGE),
        (["publish", "s", "me", "e", "@/"], PUBLISH_USAGE),
        (["get"], "get ENTITY_ID"),
        (["get", ""], "get ENTITY_ID"),
        (["get", "a", "b"], "get ENTITY_ID"),
        (["delete"], "delete ENTITY_ID"),
        (["delete", ""], "delete ENTITY_ID"),
        (["list", "scada/"], LIST_USAGE),
        (["list", "--prefix"], LIST_USAGE),
        (["list", "--limit", "3"], LIST_USAGE),
        (["batch"], "batch EVENTS_JSON"),
        (["batch", "@no such file"], "batch EVENTS_JSON"),
        (["batch", "[", "]"], "batch EVENTS_JSON"),
        (["batch-delete"], "batch-delete FILTER_JSON"),
        (["connectors", "x"], "connectors"),
        (["admin-config", "{}", "{}"], "admin-config [CONFIG_JSON]"),
        (["buy"], "buy EMAIL"),
        (["buy", ""], "buy EMAIL"),
        (["buy", "a@example.org", "b@example.org"], "buy EMAIL"),
        (["buy", "nobody's@home.example"], "buy EMAIL"),
        (["claim"], CLAIM_USAGE),
        (["claim", ""], CLAIM_USAGE),
        (["claim", "pur_1"], CLAIM_USAGE),
        (["claim", "pur_1", "claim_1", "more"], CLAIM_USAGE),
        (["claim", "pur_1", "claim_1", "--wait"], CLAIM_USAGE),
        (["claim", "pur_1", "claim_1", "--wait", "soon"], CLAIM_USAGE),
        (["claim", "pur_1", "claim_1", "--wait=007"], CLAIM_USAGE),
        (["claim", "pur_1", "claim_1", "--email=x"], CLAIM_USAGE),
        (["register"], REGISTER_USAGE),
        (["register", ""], REGISTER_USAGE),
        (["register", "a-name", "another"], REGISTER_USAGE),
        (["register", "a-name", "--scope", "publish"], REGISTER_USAGE),
        (["namespace"], "namespace NAME"),
        (["namespace", "a-name", "--token-only"], "namespace NAME"),
        (["tokens"], "tokens [NAME]"),
        (["tokens", "a-name", "--namespace"], "tokens [NAME]"),
        (["token-create"], CREATE_USAGE),
        (["token-create", "a label"], CREATE_USAGE),
        (["token-create", "a label", "--scopes", "publish"], CREATE_USAGE),
        (["token-create", "a label", "--expires-in", "soon"], CREATE_USAGE),
        (["token-create", "a label", "--expires-in", "007"], CREATE_USAGE),
        (["token-create", "a label", "-x"], CREATE_USAGE),
        (["token-rotate", "--namespace", "a-name"], ROTATE_USAGE),
        (["token-rotate", "id", "--overlap", "-1", "--namespace=n"], ROTATE_USAGE),
        (["token-revoke", "id"], "token-revoke ID"),
        (["token-revoke", "id", "--overlap=1", "--namespace=n"], "token-revoke ID"),
    ],
)
def test_wrong_usage_ends_with_2_and_shows_the_right_one(
    api: FakeApi, skill: Skill, arguments: list[str], usage: str
) -> None:
    assert_misused(skill.flux(*arguments), usage)
    assert api.asked == []


def test_a_timeout_that_is_no_number_is_wrong_usage(skill: Skill) -> None:
    ended = skill.given(FLUX_TIMEOUT="soon").flux("health")
    assert (ended.status, ended.out) == (2, "")
    assert "FLUX_TIMEOUT" in ended.err


COMMANDS = [
    "health",
    "publish",
    "get",
    "list",
    "watch",
    "delete",
    "batch",
    "batch-delete",
    "connectors",
    "admin-config",
    "buy",
    "claim",
    "register",
    "namespace",
    "tokens",
    "token-create",
    "token-rotate",
    "token-revoke",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(
    api: FakeApi, skill: Skill, command: str
) -> None:
    explained = skill.flux(command, "--help")
    assert (explained.status, explained.err) == (0, "")
    assert explained.out.startswith(f"usage: flux.sh {command}")
    assert skill.flux(command, "-h") == explained
    assert skill.flux("help", command) == explained
    assert api.asked == []


@pytest.mark.parametrize("argument", ["help", "--help", "-h"])
def test_help_names_every_command_and_setting(skill: Skill, argument: str) -> None:
    ended = skill.flux(argument)
    assert (ended.status, ended.err) == (0, "")
    for command in COMMANDS:
        assert re.search(rf"^  {command}\b", ended.out, re.MULTILINE)
    for setting in (
        "FLUX_URL",
        "FLUX_TOKEN",
        "FLUX_NAMESPACE",
        "FLUX_ADMIN_TOKEN",
        "FLUX_TIMEOUT",
        "FLUX_PURCHASE_FILE",
        "FLUX_CLAIM_SECRET",
    ):
        assert setting in ended.out


# --- a terminal -----------------------------------------------------------------


def on_a_terminal(skill: Skill, *arguments: str) -> str:
    """What a person sees. Read after the end: a short answer fits the pty's buffer."""
    ours, theirs = pty.openpty()
    environment = {"PATH": skill.path, "FLUX_URL": skill.url}
    subprocess.run([SCRIPT, *arguments], stdout=theirs, env=environment, check=True)
    os.close(theirs)
    shown = os.read(ours, 65536).decode().replace("\r\n", "\n")
    os.close(ours)
    return shown


def jq_shim(folder: Path, program: str) -> str:
    """A PATH where jq is this Python program."""
    path = only(folder, "bash", "curl")
    shim = folder / "jq"
    shim.write_text(f"#!{sys.executable}\n{program}")
    shim.chmod(0o755)
    return path


EXACT_JQ = """
import sys
text = sys.stdin.read()
print(text if "-c" in sys.argv else "laid out: " + text, end="")
"""
ROUNDING_JQ = """
import json, sys
print(json.dumps(json.loads(sys.stdin.read().replace("1.10", "1.1"))))
"""


def test_on_a_terminal_jq_lays_the_answer_out(api: FakeApi, tmp_path: Path) -> None:
    path = jq_shim(tmp_path / "bin", EXACT_JQ)
    api.answer = Answer(body=b'{"n":1.10}')
    assert on_a_terminal(Skill(api.url, path), "get", "a") == 'laid out: {"n":1.10}\n'
    assert Skill(api.url, path).flux("get", "a").out == '{"n":1.10}\n'


def test_a_jq_that_rounds_numbers_is_not_used(api: FakeApi, tmp_path: Path) -> None:
    path = jq_shim(tmp_path / "bin", ROUNDING_JQ)
    api.answer = Answer(body=b'{"n":1.10}')
    assert on_a_terminal(Skill(api.url, path), "get", "a") == '{"n":1.10}\n'


# --- the script itself ----------------------------------------------------------


def test_shellcheck_finds_nothing() -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    subprocess.run([shellcheck, SCRIPT], check=True)


def test_a_check_is_disabled_for_a_reason_only() -> None:
    for line in SCRIPT.read_text().splitlines():
        if "shellcheck disable" in line:
            assert re.search(r"disable=[SC0-9,]+  # \w+", line), line


def test_the_folder_holds_what_an_agent_installs() -> None:
    files = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.*")}
    assert files == {"SKILL.md", "references/api.md", "scripts/flux.sh"}
    assert os.access(SCRIPT, os.X_OK)
