"""What `manage.py flux_namespace` and `flux_token` have in common: what they refuse,
when they ask, what they leave in the audit log, and beside what they run.
"""

import getpass
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from namespaces import tokens
from tests.support import session
from tests.support.client import Api
from tests.support.servers import Flux, Server, manage
from tests.support.shell import Done, at_a_terminal, publish, refused


def audited(api_database: str, target: str) -> list[tuple[Any, ...]]:
    url = session.database_url(api_database)
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT actor, channel, action, before::text, after::text"
            " FROM namespaces_auditentry WHERE target = %s ORDER BY id",
            (target,),
        )
        return rows.fetchall()


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
