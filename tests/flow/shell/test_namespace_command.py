"""`manage.py flux_namespace`, beside a server that runs."""

import json
from collections.abc import Callable

import pytest

from namespaces import names, tokens
from tests.support.client import Api
from tests.support.servers import Server
from tests.support.shell import Done, at_a_terminal, listed, publish, refused


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
