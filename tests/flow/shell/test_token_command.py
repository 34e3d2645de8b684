"""`manage.py flux_token`, beside a server that runs."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from namespaces import tokens
from namespaces.grants import Scope
from tests.support.client import Api
from tests.support.servers import Server
from tests.support.shell import Done, listed, publish, refused


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
