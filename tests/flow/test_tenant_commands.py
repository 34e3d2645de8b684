"""`manage.py flux_namespace` and `flux_token`, beside a server that runs."""

import getpass
import itertools
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.core.management import ManagementUtility

from namespaces import names, tokens
from namespaces.grants import Scope
from tests.support import servers, session
from tests.support.client import Answer, Api, event
from tests.support.servers import PATIENCE_SECONDS, PROJECT, Flux, Server, manage

Done = subprocess.CompletedProcess[str]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server(api_database: str) -> Iterator[Server]:
    started = servers.serve(api_database, FLUX_AUTH_ENABLED="true")
    yield started
    started.stop()


@pytest.fixture
def api(server: Server) -> Iterator[Api]:
    client = Api(server.port)
    yield client
    client.close()


@pytest.fixture
def name() -> str:
    return f"shell-{next(_numbers)}"


@pytest.fixture
def run(server: Server) -> Callable[..., Done]:
    """Runs a command that works."""

    def work(*arguments: str) -> Done:
        done = manage(*arguments, env=server.env)
        assert done.returncode == 0, done.stderr
        return done

    return work


@pytest.fixture
def token(run: Callable[..., Done], name: str) -> str:
    """That of a namespace of the test's own, with all scopes."""
    return run("flux_namespace", "create", name).stdout.strip()


def refused(server: Server, *arguments: str) -> str:
    """The one sentence of a command that fails."""
    done = manage(*arguments, env=server.env)
    assert done.returncode == 1, done
    assert done.stdout == ""
    [sentence] = done.stderr.splitlines()
    return sentence


@pytest.fixture
def refused_here(
    database: None, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """The same in this process, on a database without a namespace: it is quicker."""

    def work(*arguments: str, status: int = 1) -> str:
        with pytest.raises(SystemExit) as ended:
            ManagementUtility(["manage.py", *arguments]).execute()
        assert ended.value.code == status
        said = capsys.readouterr()
        assert said.out == ""
        return said.err

    return work


def publish(api: Api, token: str, entity_id: str) -> Answer:
    header = {"authorization": f"Bearer {token}"}
    return api.post("/api/events", event(entity_id, {"x": 1}), **header)


def audited(api_database: str, target: str) -> list[tuple[Any, ...]]:
    url = session.database_url(api_database)
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT actor, channel, action, before::text, after::text"
            " FROM namespaces_auditentry WHERE target = %s ORDER BY id",
            (target,),
        )
        return rows.fetchall()


def listed(run: Callable[..., Done], *arguments: str) -> list[dict[str, Any]]:
    found = json.loads(run(*arguments, "--json").stdout)
    [of_one_kind] = found.values()
    assert isinstance(of_one_kind, list)
    return of_one_kind


def at_a_terminal(
    server: Server, *arguments: str, answer: str | None = None
) -> tuple[int, str]:
    """A command's status and what a person sees of it."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=PROJECT,
        env={**server.env, "TERM": "dumb", "COLUMNS": "200"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    if answer is not None:
        os.write(ours, answer.encode())
    seen = b""
    try:
        while piece := _read(ours):
            seen += piece
        return process.wait(timeout=PATIENCE_SECONDS), seen.decode()
    finally:
        process.kill()
        process.wait(timeout=PATIENCE_SECONDS)
        os.close(ours)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4_096)
    except OSError:
        return b""  # the other end is closed


def test_what_is_piped_is_the_token_alone(
    run: Callable[..., Done], api: Api, name: str
) -> None:
    done = run("flux_namespace", "create", name)
    [token] = done.stdout.splitlines()
    assert tokens.is_well_formed(token)
    assert name in done.stderr
    assert token not in done.stderr
    assert publish(api, token, f"{name}/x").status == 200


def test_quiet_says_nothing_else(run: Callable[..., Done], name: str) -> None:
    done = run("flux_namespace", "create", name, "--quiet")
    assert tokens.is_well_formed(done.stdout.strip())
    assert done.stderr == ""


def test_a_person_sees_what_was_made(server: Server, name: str) -> None:
    status, seen = at_a_terminal(server, "flux_namespace", "create", name)
    assert status == 0
    assert f"Namespace  {name} (ns_" in seen
    [line] = [line for line in seen.splitlines() if "flux_" in line]
    assert tokens.is_well_formed(line.split()[-1])
    assert "this once" in seen


def test_without_a_name_two_words_are_found(run: Callable[..., Done], api: Api) -> None:
    made = json.loads(run("flux_namespace", "create", "--json").stdout)
    assert set(made) == {"namespaceId", "name", "token"}
    assert names.checked_name(made["name"]).count("-") == 1
    assert publish(api, made["token"], f"{made['name']}/x").status == 200
    assert (
        api.get(f"/api/namespaces/{made['name']}").json["namespaceId"]
        == (made["namespaceId"])
    )


@pytest.mark.parametrize("bad", ["x", "flux-core", "default", "Upper", "a b", "ä-ö"])
def test_a_name_that_none_may_have(refused_here: Callable[..., str], bad: str) -> None:
    assert "name" in refused_here("flux_namespace", "create", bad)


def test_a_name_that_somebody_has(server: Server, token: str, name: str) -> None:
    assert "taken" in refused(server, "flux_namespace", "create", name)


def test_suspended_and_resumed(
    run: Callable[..., Done], api: Api, token: str, name: str
) -> None:
    said = run("flux_namespace", "suspend", name, "--because", "unpaid").stdout
    assert name in said
    assert publish(api, token, f"{name}/x").code == "namespace_suspended"
    [row] = [
        one for one in listed(run, "flux_namespace", "list") if one["name"] == name
    ]
    assert row["suspendedAt"] is not None
    assert row["suspendedBecause"] == "unpaid"
    run("flux_namespace", "resume", name)
    assert publish(api, token, f"{name}/x").status == 200


def test_a_deleted_namespace_is_over(
    server: Server, run: Callable[..., Done], api: Api, token: str, name: str
) -> None:
    assert publish(api, token, f"{name}/x").status == 200
    run("flux_namespace", "delete", name, "--yes")
    assert publish(api, token, f"{name}/x").code == "invalid_token"
    assert api.get(f"/api/state/entities/{name}/x").status == 200
    assert "taken" in refused(server, "flux_namespace", "create", name)
    all_ = listed(run, "flux_namespace", "list", "--all")
    [row] = [one for one in all_ if one["name"] == name]
    assert row["deletedAt"] is not None
    assert name not in run("flux_namespace", "list").stdout
    assert name in run("flux_namespace", "list", "--all").stdout


def test_the_list_is_a_line_for_each(
    run: Callable[..., Done], token: str, name: str
) -> None:
    run("flux_namespace", "suspend", name, "--because", "[red]\x1b[31m a long reason")
    head, *rows = run("flux_namespace", "list").stdout.splitlines()
    assert head.split()[0] == "name"
    [row] = [row for row in rows if row.startswith(f"{name} ")]
    assert "suspended" in row
    assert row.rstrip().endswith("[red]�[31m a long reason")
    found = listed(run, "flux_namespace", "list")
    assert [one["name"] for one in found] == [row.split()[0] for row in rows]
    assert set(found[0]) == {
        "namespaceId",
        "name",
        "createdAt",
        "suspendedAt",
        "suspendedBecause",
        "deletedAt",
    }


@pytest.mark.parametrize(
    "command",
    [
        ["flux_namespace", "suspend", "nobody-has-this"],
        ["flux_namespace", "resume", "nobody-has-this"],
        ["flux_namespace", "delete", "nobody-has-this"],
        ["flux_namespace", "delete", "nobody-has-this", "--yes"],
        ["flux_token", "list", "nobody-has-this"],
        ["flux_token", "create", "nobody-has-this", "--label", "x"],
        ["flux_token", "rotate", "nobody-has-this", "x"],
        ["flux_token", "revoke", "nobody-has-this", "x", "--yes"],
    ],
)
def test_a_namespace_that_there_is_not(
    refused_here: Callable[..., str], command: list[str]
) -> None:
    assert refused_here(*command) == "There is no such namespace.\n"


def test_a_token_for_a_part(
    run: Callable[..., Done], api: Api, token: str, name: str
) -> None:
    command = ["flux_token", "create", name, "--label", "a sensor"]
    command += ["--scope", "publish", "delete", "--prefix", f"{name}/kitchen/"]
    made = json.loads(run(*command, "--expires-in", "30d", "--json").stdout)
    assert publish(api, made["token"], f"{name}/kitchen/x").status == 200
    assert publish(api, made["token"], f"{name}/hall/x").code == "outside_prefix"
    [shown] = [one for one in listed(run, "flux_token", "list", name) if one["prefix"]]
    assert shown["label"] == "a sensor"
    assert shown["scopes"] == ["publish", "delete"]
    ends = datetime.fromisoformat(shown["expiresAt"]) - datetime.now(tz=UTC)
    assert timedelta(days=29) < ends <= timedelta(days=30)
    assert "token" not in shown


def test_a_token_with_all_scopes_one_by_one(
    run: Callable[..., Done], token: str, name: str
) -> None:
    command = ["flux_token", "create", name, "--label", "all"]
    for scope in Scope:
        command += ["--scope", str(scope)]
    assert tokens.is_well_formed(run(*command).stdout.strip())
    [shown] = [
        one for one in listed(run, "flux_token", "list", name) if one["label"] == "all"
    ]
    assert shown["scopes"] == [str(scope) for scope in Scope]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--label", ""], "label"),
        (["--label", "x" * 101], "label"),
        (["--label", "x", "--prefix", "other/"], "prefix"),
        (["--label", "x", "--prefix", "kitchen/"], "prefix"),
        (["--label", "x", "--expires-in", "0"], "expires_in_seconds"),
        (["--label", "x", "--expires-in", "999999w"], "expires_in_seconds"),
    ],
)
def test_a_token_that_cannot_be(
    refused_here: Callable[..., str], options: list[str], said: str
) -> None:
    assert said in refused_here("flux_token", "create", "dawn-coral", *options)


@pytest.mark.parametrize(
    "arguments",
    [
        ["flux_token", "create", "dawn-coral"],
        ["flux_token", "create", "dawn-coral", "--label", "x", "--scope", "admin"],
        ["flux_token", "create", "dawn-coral", "--label", "x", "--expires-in", "soon"],
        ["flux_token", "rotate", "dawn-coral", "x", "--overlap", "-1h"],
        ["flux_token"],
        ["flux_namespace"],
        ["flux_namespace", "rename", "dawn-coral"],
    ],
)
def test_what_is_no_command_shows_its_usage(
    refused_here: Callable[..., str], arguments: list[str]
) -> None:
    assert refused_here(*arguments, status=2).startswith("usage: ")


def test_a_rotated_token_has_another_secret(
    run: Callable[..., Done], api: Api, token: str, name: str
) -> None:
    token_id = tokens.id_of(token)
    second = run("flux_token", "rotate", name, token_id, "--overlap", "1h").stdout
    for either in (token, second.strip()):
        assert publish(api, either, f"{name}/x").status == 200
    third = run("flux_token", "rotate", name, token_id, "--quiet").stdout.strip()
    for old in (token, second.strip()):
        assert publish(api, old, f"{name}/x").code == "invalid_token"
    assert publish(api, third, f"{name}/x").status == 200
    assert tokens.id_of(third) == token_id


def test_a_revoked_token_is_refused_at_once(
    server: Server, run: Callable[..., Done], api: Api, token: str, name: str
) -> None:
    token_id = tokens.id_of(token)
    assert publish(api, token, f"{name}/x").status == 200
    run("flux_token", "revoke", name, token_id, "--yes")
    assert publish(api, token, f"{name}/x").code == "invalid_token"
    [shown] = listed(run, "flux_token", "list", name)
    assert shown["revokedAt"] is not None
    assert "revoked" in run("flux_token", "list", name).stdout
    said = refused(server, "flux_token", "rotate", name, token_id)
    assert "revoked" in said


@pytest.mark.parametrize("action", [["rotate"], ["revoke", "--yes"]])
def test_a_token_that_there_is_not(
    server: Server, token: str, name: str, action: list[str]
) -> None:
    verb, *options = action
    said = refused(server, "flux_token", verb, name, "nothing", *options)
    assert said == "This namespace has no such token."


@pytest.mark.parametrize("verb", ["delete", "revoke"])
def test_where_nobody_can_be_asked_nothing_is_ended(
    server: Server, api: Api, token: str, name: str, verb: str
) -> None:
    said = refused(server, *_ending(verb, name, token))
    assert "--yes" in said
    assert publish(api, token, f"{name}/x").status == 200


@pytest.mark.parametrize("verb", ["delete", "revoke"])
@pytest.mark.parametrize("answer", ["n\n", "\n", "\x04", "yes\n"])
def test_a_person_is_asked(
    server: Server, api: Api, token: str, name: str, verb: str, answer: str
) -> None:
    """What is no clear yes, is none: who is not understood is asked again."""
    given = answer if answer != "yes\n" else "yes\ny\n"
    status, seen = at_a_terminal(server, *_ending(verb, name, token), answer=given)
    assert name in seen
    if answer == "yes\n":
        assert status == 0
        assert publish(api, token, f"{name}/x").code == "invalid_token"
    else:
        assert status == 1
        assert "Nothing was changed." in seen
        assert publish(api, token, f"{name}/x").status == 200


def _ending(verb: str, name: str, token: str) -> list[str]:
    if verb == "delete":
        return ["flux_namespace", "delete", name]
    return ["flux_token", "revoke", name, tokens.id_of(token)]


def test_the_audit_log_says_who_did_what_from_a_shell(
    run: Callable[..., Done], api_database: str, token: str, name: str
) -> None:
    token_id = tokens.id_of(token)
    run("flux_namespace", "suspend", name, "--because", "a test")
    run("flux_namespace", "resume", name)
    rotated = run("flux_token", "rotate", name, token_id).stdout.strip()
    run("flux_token", "revoke", name, token_id, "--yes")
    run("flux_namespace", "delete", name, "--yes")
    of_name = audited(api_database, name)
    of_token = audited(api_database, f"{name}/{token_id}")
    assert [row[2] for row in of_name] == [
        "namespace.create",
        "namespace.suspend",
        "namespace.resume",
        "namespace.delete",
    ]
    assert [row[2] for row in of_token] == ["token.rotate", "token.revoke"]
    everything = [*of_name, *of_token]
    assert {row[:2] for row in everything} == {(getpass.getuser(), "command")}
    assert token not in str(everything)
    assert rotated not in str(everything)


def test_beside_a_whole_flux_with_its_own_postgresql(
    start_flux: Callable[..., Flux],
) -> None:
    flux = start_flux(FLUX_AUTH_ENABLED="true", FLUX_WORKERS="2")
    api = Api(flux.port)
    made = manage("flux_namespace", "create", "dawn-coral", "--quiet", env=flux.env)
    token = made.stdout.strip()
    assert publish(api, token, "dawn-coral/x").status == 200, made.stderr
    command = ["flux_token", "revoke", "dawn-coral", tokens.id_of(token), "--yes"]
    assert manage(*command, env=flux.env).returncode == 0
    for _ in range(10):
        api.close()  # each connection may meet another worker
        assert publish(api, token, "dawn-coral/x").code == "invalid_token"
    api.close()
    flux.stop()
    done = manage("flux_namespace", "list", env=flux.env)
    assert done.returncode == 1
    [sentence] = done.stderr.splitlines()
    assert "make run" in sentence


def test_in_a_database_that_has_no_tables_yet(server: Server, postgres: Any) -> None:
    postgres.ensure_database("without_tables")
    url = session.database_url("without_tables")
    for command in (
        ["flux_namespace", "create"],
        ["flux_namespace", "list"],
        ["flux_token", "create", "dawn-coral", "--label", "x"],
    ):
        done = manage(*command, env={**server.env, "DATABASE_URL": url})
        assert done.returncode == 1
        [sentence] = done.stderr.splitlines()
        assert "no tables" in sentence
